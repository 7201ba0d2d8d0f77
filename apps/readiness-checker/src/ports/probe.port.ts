import type { Measurements } from '@understudy/contracts';
import type { Counterpart } from './counterpart.port.ts';

/** One thing that a server can measure of itself. */
export interface Probe {
  /** For people, as a step of the run: `disk speed`. */
  readonly title: string;
  /** What it fills. A field that it leaves out, or all when it fails, is told as not measured with the reason. */
  readonly fields: readonly (keyof Measurements)[];
  readonly limitMs: number;
  /** It loads the machine, so it runs when no other does. */
  readonly isAlone?: boolean;
  /** Measures. Rejects with a reason for people; whatever it began ends when the signal comes. */
  measure(signal: AbortSignal, counterpart: Counterpart): Promise<Measurements>;
}
