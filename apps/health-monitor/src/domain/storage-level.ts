/** How full a file system is, as an operator has to take it. */
export type StorageLevel = 'clear' | 'warning' | 'critical';

/** Percent used from which on a level holds. */
export interface StorageThresholds {
  readonly warnPercent: number;
  readonly criticalPercent: number;
}

/** One look: when, and percent used. */
export interface StorageSample {
  readonly atMs: number;
  readonly usedPercent: number;
}

/** A level is left only this far below its threshold, so that a disk at the edge does not fill the event list. */
const MARGIN_PERCENT = 2;
/** The rate is that of the last half hour; a shorter look back than this says nothing. */
const WINDOW_MS = 1_800_000;
const WINDOW_MS_MIN = 10_000;

/** The level now, after the one before. */
export function storageLevel(
  usedPercent: number,
  before: StorageLevel,
  { warnPercent, criticalPercent }: StorageThresholds,
): StorageLevel {
  const holds = (threshold: number, held: boolean) => usedPercent >= (held ? threshold - MARGIN_PERCENT : threshold);
  if (holds(criticalPercent, before === 'critical')) return 'critical';
  return holds(warnPercent, before !== 'clear') ? 'warning' : 'clear';
}

/** The samples with the newest, without those that are too old to tell the present rate. */
export function withSample(samples: readonly StorageSample[], sample: StorageSample): StorageSample[] {
  return [...samples.filter(({ atMs }) => sample.atMs - atMs <= WINDOW_MS), sample];
}

/** Seconds until all is used if it goes on as in these samples; null: it does not fill up, or it is too early to say. */
export function secondsLeft(samples: readonly StorageSample[]): number | null {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < WINDOW_MS_MIN) return null;
  const percentPerSecond = (last.usedPercent - first.usedPercent) / ((last.atMs - first.atMs) / 1000);
  return percentPerSecond <= 0 ? null : Math.max(0, 100 - last.usedPercent) / percentPerSecond;
}

/** A time for people, in the largest unit of which there are two: `90 min`. */
export function timeText(seconds: number): string {
  for (const [unit, name] of [
    [86_400, 'days'],
    [3600, 'h'],
    [60, 'min'],
  ] as const)
    if (seconds >= 2 * unit) return `${Math.round(seconds / unit)} ${name}`;
  return `${Math.round(seconds)} s`;
}

/** A size for people: `4.2 GiB`. */
export function sizeText(bytes: number): string {
  return bytes < 1024 ** 3 ? `${Math.floor(bytes / 1024 ** 2)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
