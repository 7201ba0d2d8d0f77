import type { DatabaseFacts } from '@understudy/contracts';

/** Something an operator should read in the event list. */
export interface Incident {
  readonly severity: 'info' | 'warning' | 'critical';
  /** Stable name, e.g. `configuration-clash`. */
  readonly code: string;
  readonly message: string;
}

/** Where the engine tells what it observes. Must not throw and must not wait. */
export interface EngineEvents {
  factsObserved(facts: DatabaseFacts): void;
  incident(incident: Incident): void;
}
