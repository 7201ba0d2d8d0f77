import {
  CLOCK_MARGIN,
  grantsToPeer,
  isServing,
  keepsLease,
  type Lease,
  type LeaseKnowledge,
} from '@understudy/ha-core';
import { LEASE, NOW_MS, nonceOf } from './clock-classes.ts';
import { type Contacts, NO_CONTACTS } from './mind.ts';
import type { Model } from './model.ts';
import { answers, arrives, atRest, stepped } from './performing.ts';
import { type Body, other, ROLES, type Side, type Witness, type World, withSide } from './world.ts';

/** When events of the present moment happen. */
const EVENT_MS = NOW_MS + 1;

/** Whether the pair has a witness that keeps a lease. */
export function hasLease({ minds }: World): boolean {
  return minds[0].value.settings.witness?.kind === 'nats';
}

/** The right of this server has ended: the runner keeps it closed, and db-replication opens nothing. */
export function isKeptClosed({ rightMs }: Pick<Body, 'rightMs'>): boolean {
  return rightMs === 0;
}

/** Looks at the witness, as a manager does it several times within the time of a lease; renews the lease where it is this server's to renew. */
export function look(model: Model, world: World, side: Side): World | null {
  const { settings, witness: view, record } = world.minds[side].value;
  if (settings.witness === null || world.bodies[side].value.power !== 'on') return null;
  const reachable = !world.witness.value.cut[side];
  if (settings.witness.kind === 'gateway') {
    const witness = { reachable, leaseUntilMs: null, holder: null, takeableAtMs: null };
    return model.feed(world, side, { type: 'witness-observed', witness }).world;
  }
  if (record.pairId === null) return null;
  const knowledge = knowledgeOf(model, world, side);
  if (reachable) see(knowledge, world.witness.value, side);
  const mayRenew = reachable && keepsLease(record) && knowledge.mayRenew(record.hold, EVENT_MS);
  const isFresh = world.witness.value.isSeen[side] && view?.leaseUntilMs === NOW_MS + LEASE.leaseMs;
  const renewed = mayRenew && !isFresh ? taken(model, world, side, record.hold) : world;
  if (renewed !== world) knowledge.taken(leaseOf(renewed.witness.value, 'taken') as Lease, EVENT_MS);
  const looked = reachable ? seenBy(model, renewed, side) : renewed;
  return model.feed(looked, side, { type: 'witness-observed', witness: knowledge.view(reachable) }).world;
}

/** The witness renews the lease of this server, which does not hear of it. */
export function renewUnheard(model: Model, world: World, side: Side): World | null {
  const { record, settings } = world.minds[side].value;
  if (settings.witness?.kind !== 'nats' || world.bodies[side].value.power !== 'on' || record.pairId === null)
    return null;
  if (world.witness.value.cut[side] || !keepsLease(record)) return null;
  const knowledge = knowledgeOf(model, world, side);
  see(knowledge, world.witness.value, side);
  if (!knowledge.mayRenew(record.hold, EVENT_MS)) return null;
  const renewed = taken(model, world, side, record.hold);
  const unheard = model.withWitness(renewed, { ...renewed.witness.value, isSeen: [false, false] });
  return model.feed(unheard, side, { type: 'witness-observed', witness: knowledge.view(false) }).world;
}

/** The request for the lease under a new epoch reaches the witness, which answers. Null: it cannot be reached. */
export function askForLease(model: Model, world: World, side: Side, epoch: number): World | null {
  const { progress, ...body } = world.bodies[side].value;
  if (world.witness.value.cut[side] || progress === null) return null;
  const knowledge = knowledgeOf(model, world, side);
  see(knowledge, world.witness.value, side);
  const granted = knowledge.mayTake(epoch, EVENT_MS);
  const asked = { ...progress, asked: true, lease: { granted, ageMs: 0 } };
  const given = granted ? taken(model, world, side, epoch) : world;
  return model.withBody(given, side, { ...body, progress: asked });
}

/** The witness gives the lease, and its answer is lost. */
export function leaseUnheard(model: Model, world: World, side: Side, epoch: number): World | null {
  const given = askForLease(model, world, side, epoch);
  if (given === null || given.witness === world.witness) return null;
  return model.withWitness(given, { ...given.witness.value, isSeen: [false, false] });
}

/** The answer of the witness arrives: what it says of the lease is known before the answer is decided on. */
export function leaseAnswered(model: Model, world: World, side: Side, epoch: number): World {
  const { granted, ageMs } = world.bodies[side].value.progress?.lease ?? { granted: false, ageMs: 0 };
  const knowledge = knowledgeOf(model, world, side);
  if (granted) knowledge.taken({ role: ROLES[side], epoch, revision: 0, stamp: 'taken' }, EVENT_MS - ageMs);
  else see(knowledge, world.witness.value, side);
  const seen = granted ? world : seenBy(model, world, side);
  const told = model.feed(seen, side, { type: 'witness-observed', witness: knowledge.view(true) }).world;
  // what it was told may have put other effects in the place of the request
  if (told.bodies[side].value.progress?.lease === undefined) return told;
  return model.feed(stepped(model, told, side), side, { type: 'lease-answered', nonce: nonceOf(epoch), granted }).world;
}

/** The witness has lost its storage. */
export function wipe(model: Model, world: World): World | null {
  const witness = world.witness.value;
  return witness.lease === null ? null : model.withWitness(world, { ...witness, lease: null, isSeen: [false, false] });
}

/** Time passes for what is physically true of a server: when its right ends, the runner closes it, whatever its manager does. */
export function aged(body: Body, ms: number): Body {
  const { progress, rightMs, power, mode } = body;
  const lease = progress?.lease;
  const waited =
    lease === undefined ? progress : progress && { ...progress, lease: { ...lease, ageMs: agedMs(lease.ageMs, ms) } };
  if (power === 'off' || rightMs === null) return waited === progress ? body : { ...body, progress: waited };
  const left = { ...body, progress: waited, rightMs: Math.max(0, rightMs - ms) };
  if (!isKeptClosed(left)) return left;
  const closes = mode === 'read-write';
  return {
    ...left,
    ...(closes ? atRest(body) : {}),
    processes: false,
    stopFailed: false,
    closedByRunner: body.closedByRunner || closes,
  };
}

/** db-replication and the manager start again what the runner has closed, as soon as there is a right again. */
export function revived(model: Model, world: World, side: Side): World {
  const body = world.bodies[side].value;
  if (!body.closedByRunner || isKeptClosed(body)) return world;
  const processes = isServing(world.minds[side].value.record);
  return model.withBody(world, side, {
    ...body,
    mode: 'read-write',
    isStandby: false,
    closedByRunner: false,
    processes,
  });
}

/** What a server that looks and is heard all the time has at the end of a step of time as it has it now. */
export function contactsOf(world: World, side: Side, isPair: boolean): Contacts {
  const mind = world.minds[side].value;
  if (mind.settings.witness?.kind !== 'nats' || world.bodies[side].value.power !== 'on') return NO_CONTACTS;
  const full = NOW_MS + LEASE.leaseMs;
  const peer = other(side);
  const lease = renews(world, side);
  return {
    grant: isPair && answers(world, side) && mind.peerGrantUntilMs === full,
    answered: isPair && world.bodies[peer].value.power === 'on' && arrives(world, peer) && grantsToPeer(mind),
    lease,
    seen: lease || (!world.witness.value.cut[side] && renews(world, peer)),
  };
}

/** A right to serve ends with the time that passes, and is neither renewed nor over. */
export function isRightEnding(world: World, side: Side, { grant, lease }: Contacts): boolean {
  const { rightMs, power } = world.bodies[side].value;
  return power !== 'off' && rightMs !== null && rightMs > 0 && !grant && !lease;
}

function renews({ minds, bodies, witness }: World, side: Side): boolean {
  const full = NOW_MS + LEASE.leaseMs;
  return (
    bodies[side].value.power === 'on' &&
    !witness.value.cut[side] &&
    keepsLease(minds[side].value.record) &&
    witness.value.lease?.role === ROLES[side] &&
    minds[side].value.witness?.leaseUntilMs === full
  );
}

function taken(model: Model, world: World, side: Side, epoch: number): World {
  const isSeen = withSide<boolean>([false, false], side, true);
  return model.withWitness(world, { ...world.witness.value, lease: { role: ROLES[side], epoch }, isSeen });
}

function seenBy(model: Model, world: World, side: Side): World {
  const { isSeen } = world.witness.value;
  if (isSeen[side]) return world;
  return model.withWitness(world, { ...world.witness.value, isSeen: withSide<boolean>(isSeen, side, true) });
}

/** What the manager of a server has made of the lease so far, in the code of the product. */
function knowledgeOf(model: Model, world: World, side: Side): LeaseKnowledge {
  const knowledge = new model.knowledge(ROLES[side], LEASE.leaseMs);
  const view = world.minds[side].value.witness;
  if (view === null) return knowledge;
  const { leaseUntilMs, takeableAtMs, holder } = view;
  if (leaseUntilMs !== null)
    knowledge.taken({ role: ROLES[side], epoch: 0, revision: 0, stamp: 'own' }, leaseUntilMs - LEASE.leaseMs);
  if (takeableAtMs !== null)
    knowledge.see(holder && { ...holder, revision: 0, stamp: 'seen' }, takeableAtMs - LEASE.leaseMs * CLOCK_MARGIN);
  return knowledge;
}

function see(knowledge: LeaseKnowledge, witness: Witness, side: Side): void {
  knowledge.see(leaseOf(witness, witness.isSeen[side] ? 'seen' : 'new'), EVENT_MS);
}

function leaseOf({ lease }: Witness, stamp: string): Lease | null {
  return lease && { ...lease, revision: 0, stamp };
}

function agedMs(ageMs: number, ms: number): number {
  return Math.min(ageMs + ms, LEASE.leaseMs);
}
