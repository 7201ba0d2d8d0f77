import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';

/** A time in which two servers could be written to: rows on the one that were begun after the other had acknowledged one later in history. */
export interface WritableWindow {
  /** The server that should have been closed, and its timeline. */
  readonly older: { readonly server: ServerName; readonly timeline: number };
  /** The server that was open already. The same timeline on both is worse: nothing tells their histories apart. */
  readonly newer: { readonly server: ServerName; readonly timeline: number };
  /** The first row acknowledged by the newer server. */
  readonly fromMs: number;
  /** The last row acknowledged by the older one. */
  readonly toMs: number;
  readonly rows: number;
}

/**
 * Every window of two writable servers, in order of time. A timeline is begun by one promotion on one server; so a row that is
 * *begun* on one server after another one was *acknowledged* on the other server under a later timeline (or the same) was written
 * while both could be. No clock but the machine's monotonic one is involved, and no row is suspected for being slow.
 */
export function windowsOf(writes: readonly AcknowledgedWrite[]): WritableWindow[] {
  const periods = Object.values(Object.groupBy(writes, ({ server, timeline }) => `${server} ${timeline}`)).map(
    (rows = []) => ({
      server: (rows[0] as AcknowledgedWrite).server,
      timeline: (rows[0] as AcknowledgedWrite).timeline,
      firstMs: rows.reduce((first, { acknowledgedMs }) => Math.min(first, acknowledgedMs), Number.POSITIVE_INFINITY),
      rows,
    }),
  );
  const windows = periods.flatMap((older) =>
    periods.flatMap((newer): WritableWindow[] => {
      if (newer.server === older.server || newer.timeline < older.timeline) return [];
      // Of two with the same timeline the one that began first is the older.
      if (newer.timeline === older.timeline && newer.firstMs <= older.firstMs) return [];
      const late = older.rows.filter(({ startMs }) => startMs > newer.firstMs);
      if (late.length === 0) return [];
      return [
        {
          older: { server: older.server, timeline: older.timeline },
          newer: { server: newer.server, timeline: newer.timeline },
          fromMs: newer.firstMs,
          toMs: late.reduce((last, { acknowledgedMs }) => Math.max(last, acknowledgedMs), 0),
          rows: late.length,
        },
      ];
    }),
  );
  return windows.toSorted((a, b) => a.fromMs - b.fromMs);
}

/** A fault as it was carried out. `endMs`: when it was mended; null while it lasts. */
export interface CarriedOut {
  readonly name: string;
  /** Null: between the servers, or at the witness. */
  readonly server: ServerName | null;
  readonly beginMs: number;
  readonly endMs: number | null;
}

/** Faults that keep the two servers from hearing each other. */
const PARTING = /^(cut the link|cut the link silently|lose what is sent|lose what is received|part the servers)$/;
/** Faults of which the servers, too, need time to notice the end. */
const SILENCING = /^(freeze|kill) /;

/** How long after the end of a fault the servers may need to hear each other. */
export const HEARING_MS = 10_000;
/** How long after the end of a standstill a server may write before it has looked at the time. */
export const LOOK_AT_THE_TIME_MS = 1000;

/**
 * Why a window is within what the product promises; null: it is not.
 * With a witness there is one reason: the older server stood still as a whole, and had not yet looked at the time. Without one the
 * servers must not hear each other.
 * Decision: docs/decisions/0011-witness.md, limits.
 */
export function excuseOf(window: WritableWindow, faults: readonly CarriedOut[], hasWitness: boolean): string | null {
  if (window.newer.timeline === window.older.timeline) return null;
  const covers = ({ beginMs, endMs }: CarriedOut, graceMs: number) =>
    beginMs <= window.fromMs && (endMs === null || window.toMs <= endMs + graceMs);
  if (hasWitness) {
    const standstill = faults.find(
      (fault) =>
        fault.name === 'freeze server' && fault.server === window.older.server && covers(fault, LOOK_AT_THE_TIME_MS),
    );
    return standstill ? 'the older server stood still as a whole, and wrote until it had looked at the time' : null;
  }
  const parted = faults.find(
    (fault) => (PARTING.test(fault.name) || SILENCING.test(fault.name)) && covers(fault, HEARING_MS),
  );
  return parted ? `the servers could not hear each other: ${parted.name}` : null;
}
