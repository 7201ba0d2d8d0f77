import {
  atStart,
  type GuardName,
  type HaState,
  type Rule,
  type Server,
  type ServerRecord,
  type Tables,
  TIMING,
} from '@understudy/ha-core';

/** The time at which every server of the model is kept; an event happens one millisecond later. */
export const NOW_MS = 10_000_000;

/** Steps of time: short enough to fall within the life of a consent, over every short limit, over every limit. */
export const JUMPS_MS = [6_000, 31_000, 301_000] as const;

const STEP_MS = JUMPS_MS[0];

/**
 * Which limits a guard compares the time since the last change of state with. A guard that is in neither list makes a test fail:
 * whoever adds one says here what it needs of the clock.
 */
export const STATE_LIMITS_MS: Partial<Record<GuardName, number>> = {
  'attach-limit-over': TIMING.attachLimitMs,
  'hand-over-limit-over': TIMING.handOverLimitMs,
  'failback-answer-limit-over': TIMING.failbackAnswerLimitMs,
  'release-limit-over': TIMING.releaseLimitMs,
  'boot-search-over': TIMING.bootSearchMs,
  'peer-gave-up-operation': TIMING.abandonedAfterMs,
};

/** Guards that look at other clocks, each kept in classes of its own below. */
export const OTHER_CLOCK_GUARDS: readonly GuardName[] = [
  'automatic-failover-armed',
  'consent-given',
  'own-promise-expired',
  'server-failed',
  'server-recovered',
  'database-failed',
  'detached-too-long',
  'standby-needs-help',
  'retry-due',
  'follow-retry-due',
  'promotion-retry-due',
  'clean-up-due',
  'lease-retry-due',
  'maintenance-over',
  'isolated',
  'not-isolated',
  'would-take-over',
  'lease-takeable',
  'lease-given',
];

/** Replaces the times of a server by the classes that its rules can tell apart, so that servers that differ in nothing else are one. */
export class ClockClasses {
  private readonly limits = new Map<HaState, readonly number[]>();
  private readonly countsAnswers = new Set<HaState>();
  private readonly cleansUp = new Set<HaState>();

  constructor(tables: Tables) {
    const all = new Map<HaState, Set<number>>();
    const note = ({ from, when }: Rule) => {
      for (const guard of when) {
        if (guard === 'clean-up-due') for (const state of from) this.cleansUp.add(state);
        const limit = STATE_LIMITS_MS[guard];
        if (limit === undefined) continue;
        for (const state of from) {
          all.set(state, (all.get(state) ?? new Set()).add(limit));
          if (guard === 'peer-gave-up-operation') this.countsAnswers.add(state);
        }
      }
    };
    for (const rules of Object.values(tables.rules)) rules.forEach(note);
    for (const [state, limits] of all)
      this.limits.set(
        state,
        [...limits].sort((a, b) => a - b),
      );
  }

  /** The server as it is kept, given that its clock reads `nowMs`. */
  canonical(server: Server, nowMs: number): Server {
    const { record } = server;
    const sinceMs = NOW_MS - floorTo(nowMs - record.stateSinceMs, this.limits.get(record.state) ?? []);
    const heardSince = this.countsAnswers.has(record.state) && (server.peerHeardAtMs ?? 0) > record.stateSinceMs;
    const usableMs = meantToRun(record) ? floorTo(nowMs - server.usableAtMs, [TIMING.databaseUnusableLimitMs + 1]) : 0;
    return {
      ...server,
      record: canonicalRecord({ ...record, stateSinceMs: sinceMs }, nowMs),
      peerHeardAtMs: heardSince ? sinceMs + 1 : null,
      streamedAtMs:
        NOW_MS - floorTo(nowMs - server.streamedAtMs, [TIMING.detachedBeforeFollowMs, TIMING.attachLimitMs]),
      usableAtMs: NOW_MS - usableMs,
      lastEventAtMs: NOW_MS,
      effectFailedAtMs: failedAt(server, nowMs, this.cleansUp.has(record.state)),
      copyFailedAtMs: ifRecent(server.copyFailedAtMs, nowMs, TIMING.copyRetryMs),
      promotionFailedAtMs: ifRecent(server.promotionFailedAtMs, nowMs, TIMING.promotionRetryMs),
      peerGrantUntilMs: 0,
      answeredAtMs: NOW_MS,
    };
  }

  /** The server after a time in which its manager stood still: what it did not see then is not counted. */
  frozen(server: Server, ms: number): Server {
    const { streamedAtMs, usableAtMs } = server;
    return this.canonical({ ...server, streamedAtMs: streamedAtMs + ms, usableAtMs: usableAtMs + ms }, NOW_MS + ms);
  }

  /** The same for a server whose manager does not run: it knows only its record. */
  asleep(server: Server, host: 'on' | 'off'): Server {
    const { record, settings } = server;
    if (host === 'on') return this.canonical(atStart(record, settings, NOW_MS), NOW_MS);
    // what a start of the host resets anyway
    const reset = { stateSinceMs: NOW_MS, inFlight: null, opened: false, lastAutomaticFailoverAtMs: null };
    const promised = record.promised && { ...record.promised, untilMs: NOW_MS + STEP_MS };
    return atStart({ ...record, ...reset, promised }, settings, NOW_MS);
  }
}

function canonicalRecord(record: ServerRecord, nowMs: number): ServerRecord {
  const { request, promised, inFlight, lastAutomaticFailoverAtMs } = record;
  const leftMs = promised === null ? 0 : Math.ceil((promised.untilMs - nowMs) / STEP_MS) * STEP_MS;
  return {
    ...record,
    reason: '',
    decisions: 1,
    lastInSyncUnixMs: null,
    // a pair of long ago has no member that could still ask
    dissolved: record.dissolved.slice(-1),
    promised: promised === null || leftMs <= 0 ? null : { ...promised, nonce: '', untilMs: NOW_MS + leftMs },
    request: request && {
      epoch: request.epoch,
      nonce: nonceOf(request.epoch),
      sentAtMs: NOW_MS - requestAge(nowMs - request.sentAtMs),
    },
    inFlight: inFlight && {
      decisionId: CURRENT_DECISION,
      effects: inFlight.effects.map((effect) =>
        effect.kind === 'request-consent' ? { ...effect, nonce: nonceOf(effect.epoch) } : effect,
      ),
    },
    lastAutomaticFailoverAtMs:
      lastAutomaticFailoverAtMs === null || nowMs - lastAutomaticFailoverAtMs > JUMPS_MS[1] + STEP_MS ? null : NOW_MS,
  };
}

/** The id of whatever is in flight: only whether an outcome belongs to it matters. */
export const CURRENT_DECISION = 'current';

/** The nonce of the request for this epoch. In the product it names the run and the decision as well; no epoch is asked for twice. */
export function nonceOf(epoch: number): string {
  return `@${epoch}`;
}

/** Whole steps, up to the first that is beyond the life of a consent. */
function requestAge(ageMs: number): number {
  const beyond = Math.floor(TIMING.consentLifetimeMs / STEP_MS + 1) * STEP_MS;
  return Math.min(Math.floor(ageMs / STEP_MS) * STEP_MS, beyond);
}

/** A failure counts until it may be tried again. */
function ifRecent(failedAtMs: number | null, nowMs: number, pauseMs: number): number | null {
  return failedAtMs !== null && nowMs - failedAtMs < pauseMs ? NOW_MS : null;
}

/** A failure long ago matters only where a clean-up is repeated for it. */
function failedAt({ effectFailedAtMs }: Server, nowMs: number, isKept: boolean): number | null {
  if (effectFailedAtMs === null) return null;
  if (nowMs - effectFailedAtMs < TIMING.followRetryMs) return NOW_MS;
  return isKept ? NOW_MS - TIMING.followRetryMs : null;
}

function floorTo(ageMs: number, limits: readonly number[]): number {
  let result = 0;
  for (const limit of limits) if (ageMs >= limit) result = limit;
  return result;
}

/** As `absorb` has it: only then is a silent database counted against the server. */
function meantToRun({ inFlight, opened, state }: ServerRecord): boolean {
  return inFlight === null && (opened || state === 'secondary-syncing' || state === 'primary-syncing');
}
