import {
  atStart,
  CLOCK_MARGIN,
  type GuardName,
  type HaState,
  type Rule,
  type Server,
  type ServerRecord,
  type Tables,
  TIMING,
  type WitnessView,
} from '@understudy/ha-core';

/** The time at which every server of the model is kept; an event happens one millisecond later. */
export const NOW_MS = 10_000_000;

/** Steps of time: short enough to fall within the life of a consent, over every short limit, over every limit. */
export const JUMPS_MS = [6_000, 31_000, 301_000] as const;

const STEP_MS = JUMPS_MS[0];

/**
 * The lease of the model, in whole steps: after one step without a renewal a server closes itself, before the second the runner closes
 * it, then its right is over, and after the third the other server may have the lease.
 */
export const LEASE = { kind: 'nats', leaseMs: 2 * STEP_MS, fenceMs: STEP_MS } as const;

/** Maintenance of the model: it ends after one step on a server that serves, after three on one that might take over. */
export const MAINTENANCE_MINUTES = STEP_MS / 60_000;

/** The order of the two ends is exact. Later, it is over for everybody. */
const MAINTENANCE_PAST_MS = -2 * STEP_MS;

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
  'automatic-hand-over-armed',
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
  'would-ask-for-hand-over',
  'lease-takeable',
  'lease-given',
  // of synchronous replication, which the model does not have: no commit ever waits in it
  'standby-detached',
  'exposure-known',
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
      ...canonicalRights(server, nowMs),
      toldAtMs: NOW_MS,
      wordAtMs: null,
    };
  }

  /** Time passes for a server that is switched off: its wall clock goes on. */
  off(server: Server, ms: number): Server {
    const { record } = server;
    return record.maintenance === null
      ? server
      : { ...server, record: { ...record, maintenance: canonicalMaintenance(record, NOW_MS + ms) } };
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

/** What may be served by, and taken at: kept in steps, as both servers get the same ones. */
function canonicalRights(server: Server, nowMs: number) {
  const { settings, peerGrantUntilMs, answeredAtMs, witness } = server;
  if (settings.witness?.kind !== 'nats') return { peerGrantUntilMs: 0, answeredAtMs: NOW_MS };
  return {
    peerGrantUntilMs: leftOf(peerGrantUntilMs, nowMs) ?? 0,
    answeredAtMs: NOW_MS - floorTo(nowMs - answeredAtMs, LEASE_AGES_MS),
    witness: witness && canonicalWitness(witness, settings.witness.leaseMs * CLOCK_MARGIN, nowMs),
  };
}

const LEASE_AGES_MS = [STEP_MS, 2 * STEP_MS, 3 * STEP_MS];

function canonicalWitness(view: WitnessView, takeableAfterMs: number, nowMs: number): WitnessView {
  const { leaseUntilMs, takeableAtMs } = view;
  const seenMs = takeableAtMs === null ? null : floorTo(nowMs - (takeableAtMs - takeableAfterMs), LEASE_AGES_MS);
  return {
    ...view,
    leaseUntilMs: leaseUntilMs === null ? null : leftOf(leaseUntilMs, nowMs),
    takeableAtMs: seenMs === null ? null : NOW_MS - seenMs + takeableAfterMs,
  };
}

/** When something ends that has so long to go; null: it has ended. The milliseconds that events take are no time. */
function leftOf(untilMs: number, nowMs: number): number | null {
  const leftMs = Math.ceil((untilMs - nowMs) / EVENTS_MS) * EVENTS_MS;
  return leftMs <= 0 ? null : NOW_MS + leftMs;
}

const EVENTS_MS = 500;

function canonicalMaintenance({ maintenance, runId }: ServerRecord, nowMs: number): ServerRecord['maintenance'] {
  if (maintenance === null) return null;
  const isOfThisRun = maintenance.runId === runId;
  const exactMs = isOfThisRun ? maintenance.untilMs - nowMs : maintenance.untilUnixMs - (nowMs - NOW_MS);
  const leftMs = Math.max(MAINTENANCE_PAST_MS, Math.ceil(exactMs / STEP_MS) * STEP_MS);
  return {
    ...maintenance,
    runId: isOfThisRun ? runId : 'an earlier run',
    untilMs: NOW_MS + leftMs,
    untilUnixMs: leftMs,
  };
}

function canonicalRecord(record: ServerRecord, nowMs: number): ServerRecord {
  const { request, promised, inFlight, lastAutomaticFailoverAtMs } = record;
  const leftMs = promised === null ? 0 : Math.ceil((promised.untilMs - nowMs) / STEP_MS) * STEP_MS;
  return {
    ...record,
    reason: '',
    decisions: 1,
    lastInSyncUnixMs: null,
    maintenance: canonicalMaintenance(record, nowMs),
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
        effect.kind === 'request-consent' || effect.kind === 'acquire-lease'
          ? { ...effect, nonce: nonceOf(effect.epoch) }
          : effect,
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
