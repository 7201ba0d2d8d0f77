import { parseLsn } from '@understudy/contracts';

/** One stretch of a server's past: a timeline and where it was left for the next one; null for the current timeline. */
export interface TimelineStretch {
  readonly timeline: number;
  readonly endLsn: bigint | null;
}

/** A server's whole past, oldest first; the last stretch is the current timeline. */
export type TimelineBranch = readonly TimelineStretch[];

/** Where two pasts part. `timeline` is the last one they share; null when they share none. */
export interface Fork {
  readonly timeline: number;
  readonly lsn: bigint | null;
}

/**
 * Reads a timeline history file (`<timeline> TAB <switch point> TAB <reason>` per line) into the branch that ends with
 * `timeline`. Timeline 1 has no history file: pass an empty text.
 */
export function parseTimelineHistory(timeline: number, content: string): TimelineBranch {
  const past = content.split('\n').flatMap((line): TimelineStretch[] => {
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})/.exec(line);
    return match ? [{ timeline: Number(match[1]), endLsn: parseLsn((match[2] as string).toUpperCase()) }] : [];
  });
  return [...past, { timeline, endLsn: null }];
}

/**
 * The last common point of two branches. Timeline *numbers* prove nothing by themselves: two servers can both count up to 3,
 * so a later timeline is common only when the one before it was left at the same position on both.
 * `lsn` is null when both are on the same current timeline: then they part nowhere that histories could tell.
 */
export function forkOf(own: TimelineBranch, peer: TimelineBranch): Fork | null {
  let fork: Fork | null = null;
  for (let index = 0; index < Math.min(own.length, peer.length); index++) {
    const ours = own[index] as TimelineStretch;
    const theirs = peer[index] as TimelineStretch;
    if (ours.timeline !== theirs.timeline) break;
    fork = { timeline: ours.timeline, lsn: earlierOf(ours.endLsn, theirs.endLsn) };
    if (ours.endLsn !== theirs.endLsn) break;
  }
  return fork;
}

function earlierOf(left: bigint | null, right: bigint | null): bigint | null {
  if (left === null) return right;
  if (right === null) return left;
  return left < right ? left : right;
}
