import { formatLsn } from '@understudy/contracts';
import { forkOf, type TimelineBranch } from './timeline-history.ts';

/** This server's data directory, as it lies on the disk, stopped. */
export interface OwnPast {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly branch: TimelineBranch;
  /** End of the WAL in the directory; what lies behind the fork is lost to the pair when the directory is rewound. */
  readonly endOfWal: bigint;
  /** The last run was no standby. */
  readonly wasWriter: boolean;
  /** Page changes can be found: data checksums or wal_log_hints. */
  readonly canRewind: boolean;
  /** From where the directory needs WAL of the peer when it follows. */
  readonly redoLsn: bigint;
}

/** The active peer, as it answers now. */
export interface PeerPast {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly branch: TimelineBranch;
  readonly position: bigint;
  /** First WAL position the peer still has; null when it could not tell. */
  readonly oldestWal: bigint | null;
  readonly slotLost: boolean;
}

/** After a day there is a data gap, whatever the retention. Spec: "HA States and Transitions". */
const DAY_SECONDS = 24 * 3600;

/** What the operator or the configuration says besides. */
export interface RejoinLimits {
  readonly forceCopy: boolean;
  readonly awaySeconds: number | null;
  readonly retentionSeconds: number;
}

/** The gentlest way that can work, why, and what diverged (null: nothing). */
export interface RejoinPlan {
  readonly method: 'follow' | 'rewind' | 'copy';
  readonly reason: string;
  /** Everything from here to the end of the own WAL exists on this server only. */
  readonly divergedFrom: { readonly timeline: number; readonly lsn: bigint } | null;
  /** The directory belongs to another database system: it is kept whole, not picked apart. */
  readonly isForeign: boolean;
}

/**
 * How a stopped directory becomes a standby of the peer: by comparing histories first and positions second.
 * Divergence is stated even when a copy is needed anyway, because it must be set aside first.
 */
export function decideRejoin(own: OwnPast, peer: PeerPast, limits: RejoinLimits): RejoinPlan {
  if (own.systemIdentifier !== peer.systemIdentifier) {
    return copy(
      `it belongs to database system ${own.systemIdentifier}, the peer's is ${peer.systemIdentifier}`,
      null,
      true,
    );
  }
  const fork = forkOf(own.branch, peer.branch);
  if (fork === null) return copy('its timelines have no beginning in common with those of the peer', null, true);

  const forkLsn = fork.lsn ?? peer.position;
  const onSameTimeline = fork.lsn === null;
  const isDiverged = own.endOfWal > forkLsn || own.timeline !== fork.timeline || (onSameTimeline && own.wasWriter);
  const divergedFrom = isDiverged ? { timeline: fork.timeline, lsn: forkLsn } : null;

  if (limits.forceCopy) return copy('a full copy was asked for', divergedFrom);
  const { awaySeconds, retentionSeconds } = limits;
  if (awaySeconds !== null && awaySeconds > retentionSeconds)
    return copy(`it was away for ${awaySeconds} s, longer than the ${retentionSeconds} s of retention`, divergedFrom);
  if (awaySeconds !== null && awaySeconds >= DAY_SECONDS)
    return copy(`it was away for ${awaySeconds} s, a day or more`, divergedFrom);
  if (peer.slotLost) return copy('the peer no longer has the WAL kept for this server', divergedFrom);
  // A follower replays its own WAL to the end and needs the peer's from there; a rewound one starts from before the fork.
  const neededFrom = isDiverged ? earlier(own.redoLsn, forkLsn) : own.endOfWal;
  if (peer.oldestWal !== null && neededFrom < peer.oldestWal) {
    return copy(`the peer's WAL begins at ${formatLsn(peer.oldestWal)}, after what this server needs`, divergedFrom);
  }
  if (!isDiverged) {
    return {
      method: 'follow',
      reason: `its WAL ends at ${formatLsn(own.endOfWal)}, within the peer's past`,
      divergedFrom: null,
      isForeign: false,
    };
  }
  if (onSameTimeline) {
    return copy(`both wrote on timeline ${own.timeline}, which a rewind cannot tell apart`, divergedFrom);
  }
  if (!own.canRewind)
    return copy('it has neither data checksums nor wal_log_hints, which a rewind needs', divergedFrom);
  const bytes = own.endOfWal > forkLsn ? own.endOfWal - forkLsn : 0n;
  return {
    method: 'rewind',
    reason: `${bytes} bytes of its WAL after ${formatLsn(forkLsn)} on timeline ${fork.timeline} are not part of the peer's past`,
    divergedFrom,
    isForeign: false,
  };
}

function copy(reason: string, divergedFrom: RejoinPlan['divergedFrom'], isForeign = false): RejoinPlan {
  return { method: 'copy', reason, divergedFrom, isForeign };
}

function earlier(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
