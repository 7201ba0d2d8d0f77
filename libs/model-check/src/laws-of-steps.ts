import { isServing, lineageOf, type PeerView, TIMING } from '@understudy/ha-core';
import { NOW_MS } from './clock-classes.ts';
import type { BrokenLaw } from './laws-of-decisions.ts';
import { lawOfTwo } from './laws-of-witness.ts';
import type { Outcome } from './mind.ts';
import { lengthOf } from './normal-form.ts';
import { type Body, other, ROLES, reallyServes, type Side, type Timeless, type World } from './world.ts';

/**
 * Laws about a decision in its world: what the other server really has and does, what this one was really told. Also carries on what
 * the model remembers for them. `world` is as it was before the event.
 */
export function lawOfStep(
  world: World,
  side: Side,
  event: Timeless,
  { mind, decision }: Outcome,
): { readonly body: Body; readonly broken: BrokenLaw | null } {
  const before = world.minds[side].value;
  const changes = decision.rule?.change ?? [];
  let body = world.bodies[side].value;
  let broken: BrokenLaw | null = null;
  const breach = (law: string, says: string) => {
    broken ??= { law, says: `${decision.rule?.id ?? event.type}: the ${ROLES[side]} ${says}` };
  };

  if (event.type === 'peer-heard') body = { ...body, told: toldOf(body, event.status) };
  if (event.type === 'boot') {
    const { peerPosition, pairId, state } = before.record;
    const kept = peerPosition === null ? [] : [[peerPosition.lineage, lengthOf(peerPosition.lsn)] as const];
    const warrant = event.sameRun ? body.warrant : pairId === null || state === 'ha-initializing';
    body = { ...body, warrant, told: stillMissing(body, kept) };
  }
  if (decision.rule !== null && 'acceptDataLoss' in event && event.acceptDataLoss)
    body = { ...body, lossAccepted: true };
  if (decision.rule !== null && changes.length > 0) {
    const peerBody = world.bodies[other(side)].value;
    const peer = world.minds[other(side)].value.record;
    if (changes.includes('give-consent') && !body.stopFailed) {
      if (body.mode === 'read-write') breach('4', 'gives its consent while its database takes writes');
      else if (body.processes) breach('4', 'gives its consent while the application runs on it');
    }
    if (changes.includes('accept-consent')) {
      if (reallyServes(peerBody) && !peerBody.stopFailed)
        breach('4 (I1)', 'takes the role by consent while the peer serves');
      else if (peer.hold !== 0 && peerBody.power !== 'off')
        breach('4 (I1)', 'takes the role by consent while the peer owns it');
      const lost = missingOf(body, peerBody, lineageOf(before.record));
      // an operator has agreed to lose what a forced failback loses, and what an order says
      const isAccepted = before.record.operation?.kind === 'forced-failback' || body.lossAccepted;
      if (lost > 0 && peer.complete && !isAccepted)
        breach('5 (I5)', `takes the role by consent without ${lost} writes that the giver has`);
      body = { ...body, warrant: true };
    }
    if (changes.includes('accept-lease')) {
      const { lease } = world.witness.value;
      if (peerBody.mode === 'read-write' && peerBody.power !== 'off')
        breach('4', 'takes the role by the lease while the database of the peer takes writes');
      if (lease !== null && lease.role !== before.record.role)
        breach('4', 'takes the role by a lease that the peer has');
    }
    if (changes.includes('take-role-alone') || changes.includes('accept-lease')) {
      const isOrdered = event.type.startsWith('operator-') || before.record.operation !== null;
      const acknowledged = 'acceptDataLoss' in event && event.acceptDataLoss;
      const allowed = isOrdered ? 0 : before.settings.maximumLagBytes;
      const missing = knownMissing(body, lineageOf(before.record));
      if (missing > allowed && !acknowledged)
        breach('5 (I4)', `takes the role alone although it was told of ${missing} more writes`);
      body = { ...body, warrant: true };
    }
    if (changes.includes('take-role')) {
      const registers = before.record.state === 'ha-initializing';
      const searched = NOW_MS + 1 - before.record.stateSinceMs >= TIMING.bootSearchMs;
      if (before.record.hold === 0 && !registers) breach('4', 'takes a role that it does not own without consent');
      if (
        before.record.cause === 'boot' &&
        !registers &&
        before.peer === null &&
        event.type !== 'peer-heard' &&
        !searched
      )
        breach('6', 'opens service after a start without having searched for its peer');
      body = { ...body, warrant: true };
    }
  }
  if (mind.value.record.pairId === null) body = { ...body, warrant: true };
  if (body.lossAccepted && mind.value.record.operation === null) body = { ...body, lossAccepted: false };
  return { body: same(body, world.bodies[side].value), broken };
}

/** A law that a world breaks as it is, or null. */
export function lawOfWorld(world: World): BrokenLaw | null {
  const { minds, bodies } = world;
  const two = lawOfTwo(world);
  if (two !== null) return { law: '4', says: two };
  const [p, s] = [minds[0].value.record, minds[1].value.record];
  if (p.hold !== 0 && p.hold === s.hold) return { law: '3 (I2)', says: `both servers own epoch ${p.hold}` };
  for (const side of [0, 1] as const) {
    const { record } = minds[side].value;
    const body = bodies[side].value;
    if (body.power === 'off') continue;
    const role = ROLES[side];
    const writes = body.mode === 'read-write';
    const unpaired = record.state === 'ha-not-configured' || record.state === 'ha-initializing';
    if (body.progress !== null && record.inFlight === null)
      return { law: '2', says: `the ${role} performs effects that its record does not explain` };
    if (role === 'secondary' && unpaired && (writes || body.processes) && record.inFlight === null && !body.stopFailed)
      return { law: '6 (I10)', says: 'the secondary serves although it is not paired' };
    if (record.hold !== 0 || (role === 'primary' && unpaired)) continue;
    if (record.inFlight === null && !body.stopFailed && (writes || body.processes))
      return {
        law: '4 (I9)',
        says: `${writes ? 'the database takes writes' : 'the application runs'} on the ${role}, which does not own the role (${record.state})`,
      };
    if (isServing(record) && !unpaired) return { law: '4 (I12)', says: `the ${role} serves without owning the role` };
  }
  return null;
}

/** What a server has been told that the peer has, and it lacks: the furthest of each lineage. */
function toldOf(body: Body, { lineage, lsn }: PeerView): Body['told'] {
  if (lsn === null) return body.told;
  const length = lengthOf(lsn);
  const known = body.told.find(([epoch]) => epoch === lineage);
  if (known !== undefined && known[1] >= length) return stillMissing(body, body.told);
  return stillMissing(body, [...body.told.filter(([epoch]) => epoch !== lineage), [lineage, length] as const]);
}

/** Only what is missing is worth remembering. */
export function stillMissing({ log }: Body, told: Body['told']): Body['told'] {
  return told.filter(([, length]) => length > log.length).sort(([a], [b]) => a - b);
}

function knownMissing({ told, log }: Body, lineage: number): number {
  const position = told.find(([epoch]) => epoch === lineage);
  return position === undefined ? 0 : position[1] - log.length;
}

/** How many writes the taker has not, of those that the giver made or received under this epoch or a later one. */
function missingOf(taker: Body, giver: Body, lineage: number): number {
  return giver.log.filter((mark, index) => taker.log[index] !== mark && mark >= lineage).length;
}

function same(body: Body, before: Body): Body {
  return JSON.stringify(body) === JSON.stringify(before) ? before : body;
}
