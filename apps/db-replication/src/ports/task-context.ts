/** What a running task gets: when to stop, and where to say how far it is. */
export interface TaskContext {
  readonly signal: AbortSignal;
  /** Names what is being done now. Counts as progress. */
  step(text: string): void;
  /** Work was done: any positive amount, e.g. bytes. No call for long is a hang. */
  advance(amount: number): void;
  /** For people; null: cannot be told. */
  percent(value: number | null): void;
}
