/** One fault and what a client saw of it. Times in milliseconds. */
export interface MeasuredRun {
  readonly kind: BenchKind;
  /** Longest time between two acknowledged writes that ended after the fault. */
  readonly outageMs: number;
  /** Rows acknowledged to the client that the surviving server does not have, up to the return of what went away. */
  readonly lostRows: number;
  /** The same after the link was healed: from a server that had not yet heard that it was replaced. They are set aside there. */
  readonly lostRowsAfterReturn: number;
  /** Rows that were sent and neither acknowledged nor refused: the client has to look. Not counted as lost. */
  readonly unknownRows: number;
  readonly acknowledgedRows: number;
  /** From the return of the server (its boot, the healed link, the start of a planned switch) until it streams; null where none went away. */
  readonly rejoinMs: number | null;
  /** Rows written on the cut-off server after the secondary had taken over, set aside there; null where nothing is cut off. */
  readonly setAsideRows: number | null;
  /** One-minute load average before the fault: a busy machine makes poor figures. */
  readonly loadBefore: number;
}

/** What can be measured. */
export const BENCH_KINDS = [
  'postgres-killed',
  'forced-failover',
  'failback',
  'host-death',
  'link-cut',
  'host-death-default-timers',
  'host-death-quick',
  'link-cut-quick',
  'busy-quick',
  'idle',
] as const;
export type BenchKind = (typeof BENCH_KINDS)[number];

/** Smallest, middle and largest of the numbers; undefined of none. The median of an even count is the mean of the middle two. */
export function spread(numbers: readonly number[]): { min: number; median: number; max: number } | undefined {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? 0;
  if (sorted.length === 0) return undefined;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { min: at(0), median, max: at(sorted.length - 1) };
}

/** One server's own processes while nothing happens; PostgreSQL, NATS, Redis and the application are not counted. */
export interface Footprint {
  readonly layout: string;
  readonly server: string;
  readonly processes: number;
  readonly pssMib: number;
  /** Share of one core, in percent. */
  readonly cpuPercent: number;
  readonly seconds: number;
}
