/** What a running task gets: when to stop, and where to say how far it is. */
export interface TaskContext {
  readonly signal: AbortSignal;
  /** When to stop even what must not be left half done: the service ends. Aborted later than `signal`, and mostly never. */
  readonly closing: AbortSignal;
  /** Names what is being done now. Counts as progress. */
  step(text: string): void;
  /** Work was done: any positive amount, e.g. bytes. No call for long is a hang. */
  advance(amount: number): void;
  /** For people; null: cannot be told. */
  percent(value: number | null): void;
}

/** For work that nobody follows: `signal` stops it. */
export function quietContext(signal: AbortSignal = new AbortController().signal): TaskContext {
  const quiet = () => undefined;
  return { signal, closing: signal, step: quiet, advance: quiet, percent: quiet };
}
