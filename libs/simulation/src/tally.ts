import type { Decision } from '@understudy/ha-core';

/** Changes of the record by which a server takes the active role. */
const TAKEOVERS = ['take-role-alone', 'accept-consent', 'accept-lease'] as const;

/** The counts of a tally, as another process tells them. */
export type Counts = Pick<Tally, 'faults' | 'takeovers' | 'refusals' | 'decisions' | 'laws'>;

/** What has happened in a run, counted. */
export class Tally {
  /** Faults and orders, by their name. */
  readonly faults: Record<string, number> = {};
  /** Times that a server took the active role. */
  takeovers = 0;
  /** Orders and requests that a server refused. */
  refusals = 0;
  decisions = 0;
  /** Laws looked at. */
  laws = 0;

  decided({ rule, refusal }: Decision): void {
    this.decisions += 1;
    if (refusal !== null) this.refusals += 1;
    if (rule?.change?.some((name) => (TAKEOVERS as readonly string[]).includes(name))) this.takeovers += 1;
  }

  /** Adds what was counted elsewhere. */
  add(other: Counts): void {
    for (const [name, count] of Object.entries(other.faults)) this.faults[name] = (this.faults[name] ?? 0) + count;
    this.takeovers += other.takeovers;
    this.refusals += other.refusals;
    this.decisions += other.decisions;
    this.laws += other.laws;
  }

  fault(name: string): void {
    this.faults[name] = (this.faults[name] ?? 0) + 1;
  }
}
