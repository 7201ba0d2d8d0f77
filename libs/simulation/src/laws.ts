import { actionRefusal, decide, type HaEvent, OPERATOR_EVENTS } from '@understudy/ha-core';
import { CONFIRMED_BEATS } from './simulated-heartbeat.ts';
import type { SimulatedPair } from './simulated-pair.ts';
import type { SimulatedServer } from './simulated-server.ts';
import { reachOn } from './wal.ts';

/** A server that stood still closes itself when it has looked at the time, and not before. */
const THAW_MS = 2500;
/** What cannot be stopped is stopped again and again. */
const STOP_AGAIN_MS = 10_000;
const BOTH_LIMIT_MS = 25_000;
const BOTH_LIMIT_WITH_HANGS_MS = 150_000;
const LOOK_AT_ACTIONS_MS = 3000;
/** Longest way of a message, and until a record is durable. */
const ANSWER_MS = 1500;

/** An order with everything that an operator can acknowledge. */
const ANY_ORDER = {
  operationId: 'o',
  pairId: 'another',
  failoverType: 'manual',
  force: false,
  acceptDataLoss: true,
  confirmed: true,
  minutes: 1,
  reason: 'r',
  unixMs: 0,
};

/** One law of the design as it can be seen from outside: how it is broken now, or null. */
type Law = (pair: SimulatedPair) => string | null;

/** What has to be remembered between two looks. */
export interface Seen {
  /** Since when the application works on both servers. */
  bothSinceMs: number;
  actionsLookedAtMs: number;
  readonly epochs: { primary: number; secondary: number };
}

/** Looked at after every step. */
const LAWS: readonly Law[] = [
  ({ servers }) => servers.find(({ brokenLaw }) => brokenLaw !== null)?.brokenLaw ?? null,
  epochsOnlyGrow,
  neverBothUnderOneEpoch,
  withAWitnessNeverBoth,
  whoHearsTheOtherYields,
  theApplicationWorksOnOne,
  whoDoesNotOwnTheRoleRunsNothing,
  whatIsOfferedIsTaken,
];

/** The first law that is broken now, or null. */
export function brokenLawOf(pair: SimulatedPair): string | null {
  pair.tally.laws += LAWS.length;
  for (const law of LAWS) {
    const broken = law(pair);
    if (broken !== null) return broken;
  }
  return null;
}

/** Looked at when the pair has settled: what a client was told is safe is in one of the databases, or was set aside where it was. */
export function lostWithoutTrace({ acknowledged, servers }: SimulatedPair): string | null {
  for (const [timeline, { from, to }] of acknowledged) {
    const ends = servers.flatMap(({ database }) => [reachOn(database.wal, timeline), database.setAside.get(timeline)]);
    const reach = Math.max(...ends.map((end) => end ?? from));
    if (reach < to) return `${to - reach} acknowledged writes of timeline ${timeline} are neither kept nor set aside`;
  }
  return null;
}

/**
 * The same with synchronous replication and a witness: whoever serves has every acknowledged write, and nothing of it was set aside,
 * unless an operator has accepted that something is lost.
 */
export function lostAlthoughConfirmed(pair: SimulatedPair): string | null {
  const { variant, acknowledged, servers, isLossAccepted } = pair;
  if (variant.replication === 'async' || variant.witness !== 'nats' || isLossAccepted) return null;
  const active = servers.find(({ serving }) => serving);
  for (const [timeline, { from, ofPairTo }] of acknowledged) {
    const lost = ofPairTo - (reachOn(active?.database.wal ?? null, timeline) ?? from);
    if (lost > 0) return `${lost} acknowledged writes of timeline ${timeline} are not served`;
  }
  return null;
}

/** Looked at when the pair has settled: whoever serves has the application running, and would notice its end. */
export function servesInNameOnly({ servers }: SimulatedPair): string | null {
  const active = servers.find(({ serving }) => serving);
  if (active === undefined) return 'nobody serves';
  if (!active.processesRunning) return `the ${active.role} serves, and the application does not run`;
  return active.manager?.isSupervising
    ? null
    : `the ${active.role} serves, and its manager does not know of the application`;
}

function epochsOnlyGrow({ servers, seen: { epochs } }: SimulatedPair): string | null {
  for (const { role, record } of servers) {
    if (record.epoch < epochs[role]) return `the epoch of the ${role} fell from ${epochs[role]} to ${record.epoch}`;
    epochs[role] = record.epoch;
  }
  return null;
}

function neverBothUnderOneEpoch({ primary, secondary }: SimulatedPair): string | null {
  return primary.serving && secondary.serving && primary.record.hold === secondary.record.hold
    ? 'both are active under the same epoch'
    : null;
}

function withAWitnessNeverBoth(pair: SimulatedPair): string | null {
  const { primary, secondary, witness, clock } = pair;
  if (witness === null || !primary.serving || !secondary.serving || pair.isPrimaryNew) return null;
  const isOnePair = primary.record.pairId !== null && primary.record.pairId === secondary.record.pairId;
  const stoodStill = pair.servers.some(({ thawedAtMs }) => clock.nowMs - thawedAtMs < THAW_MS);
  return isOnePair && !stoodStill ? 'both are active although there is a witness' : null;
}

function whoHearsTheOtherYields(pair: SimulatedPair): string | null {
  const { primary, secondary, clock } = pair;
  if (!primary.serving || !secondary.serving || pair.isPrimaryNew) return null;
  const talkingMs = clock.nowMs - Math.max(talkingSinceMs(pair), dissolvedSinceMs(pair));
  return talkingMs > 2 * pair.variant.beatMs + ANSWER_MS
    ? `both are active although they have heard each other for ${talkingMs} ms`
    : null;
}

function theApplicationWorksOnOne(pair: SimulatedPair): string | null {
  const { seen } = pair;
  const { nowMs } = pair.clock;
  const works = ({ up, frozen, processesRunning, database }: SimulatedServer) =>
    up && !frozen && processesRunning && database.mode === 'read-write';
  if (pair.isPrimaryNew || !works(pair.primary) || !works(pair.secondary) || !pair.servers.every(({ awake }) => awake))
    seen.bothSinceMs = nowMs;
  const limitMs = nowMs - pair.hungAtMs < 2 * BOTH_LIMIT_WITH_HANGS_MS ? BOTH_LIMIT_WITH_HANGS_MS : BOTH_LIMIT_MS;
  return nowMs - Math.max(seen.bothSinceMs, talkingSinceMs(pair)) > limitMs
    ? 'the application works on both servers although they hear each other'
    : null;
}

function whoDoesNotOwnTheRoleRunsNothing({ servers, clock }: SimulatedPair): string | null {
  for (const { role, record, awake, unkillable, processesRunning, disturbedAtMs } of servers) {
    if (!processesRunning || !awake || unkillable || record.inFlight !== null) continue;
    if (clock.nowMs - disturbedAtMs <= STOP_AGAIN_MS || record.state === 'ha-initializing') continue;
    if (record.pairId !== null && record.hold === 0)
      return `the application runs on the ${role}, which does not own the role (${record.state})`;
    if (role === 'secondary' && record.state === 'ha-not-configured')
      return 'the application runs on a secondary that is not paired';
  }
  return null;
}

/** What is offered to an operator is taken when it is ordered. */
function whatIsOfferedIsTaken({ servers, clock, tally, seen }: SimulatedPair): string | null {
  const atMs = clock.nowMs;
  if (atMs - seen.actionsLookedAtMs < LOOK_AT_ACTIONS_MS) return null;
  seen.actionsLookedAtMs = atMs;
  for (const { view, frozen } of servers) {
    if (view === null || frozen) continue;
    for (const type of OPERATOR_EVENTS) {
      tally.laws += 1;
      if (actionRefusal(view, type, atMs) !== null) continue;
      const { rule, refusal } = decide(view, { ...ANY_ORDER, type, atMs } as unknown as HaEvent);
      if (rule === null) return `${type} is offered in ${view.record.state} and then refused: ${refusal}`;
    }
  }
  return null;
}

/** Since when both servers must have heard each other. */
function talkingSinceMs({ servers, soundSinceMs, network, clock }: SimulatedPair): number {
  if (!network.connects('pair-link') || !servers.every(({ awake }) => awake)) return clock.nowMs;
  return Math.max(soundSinceMs, ...servers.map(({ standstillUntilMs }) => standstillUntilMs));
}

/** A pair that was dissolved by one side hears of it by the URL, after the ladder. */
function dissolvedSinceMs({ primary, secondary, clock, network, variant }: SimulatedPair): number {
  if (primary.record.pairId !== null || secondary.record.pairId === null) return 0;
  if (!network.connects('https')) return clock.nowMs;
  return Math.max(primary.heardAtMs, secondary.heardAtMs) + CONFIRMED_BEATS * variant.beatMs;
}
