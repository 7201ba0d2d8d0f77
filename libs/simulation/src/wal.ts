/**
 * What a database has written: the end of its newest timeline, and what was before that timeline began. A timeline is begun by one
 * promotion and written to by one server only, so two logs that share one share everything before it. Null: nothing was ever written.
 */
export interface Wal {
  readonly timeline: number;
  /** Position up to which this timeline is written; a write takes one. */
  readonly endsAt: number;
  readonly before: Wal | null;
}

/** Where a log ends. */
export function endOf(wal: Wal | null): number {
  return wal?.endsAt ?? 0;
}

/** The log after one more write on that timeline. */
export function withWrite(wal: Wal | null, timeline: number): Wal {
  const before = wal?.timeline === timeline ? wal.before : wal;
  return { timeline, endsAt: endOf(wal) + 1, before };
}

/** How far a log goes on that timeline; null: it has nothing of it. */
export function reachOn(wal: Wal | null, timeline: number): number | null {
  for (let part = wal; part !== null; part = part.before) if (part.timeline === timeline) return part.endsAt;
  return null;
}

/** Everything of the first log is in the second one. */
export function isContained(part: Wal | null, whole: Wal | null): boolean {
  return part === null || part.endsAt <= (reachOn(whole, part.timeline) ?? -1);
}

/** Position up to which two logs are the same. */
export function commonEnd(one: Wal | null, other: Wal | null): number {
  for (let part = one; part !== null; part = part.before) {
    const reach = reachOn(other, part.timeline);
    if (reach !== null) return Math.min(part.endsAt, reach);
  }
  return 0;
}
