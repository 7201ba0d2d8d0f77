import { type ConsentRequest, formatLsn, type Lsn, type PeerView, parseLsn, type Server } from '@understudy/ha-core';
import { nonceOf } from './clock-classes.ts';
import type { Body, Message, Net, Witness } from './world.ts';

/** What stands in place of epochs and positions in a normal form. */
export interface Renaming {
  readonly epoch: (epoch: number) => number;
  /** So many entries of the common past of both logs are forgotten. */
  readonly shift: number;
}

/** Two epochs further apart than this are kept this far apart, or one more when that keeps the parity. */
const GAP_MAX = 4;

/** Positions before it stand for "no position", and are never moved. */
const FIRST_LSN = 1;

/**
 * Epochs are compared, and the next of a parity is taken: only their order, their parity and small distances matter. So they are
 * moved together. `mask` has a bit for each epoch in use; null when they are as close as can be.
 */
export function closerEpochs(mask: number): ReadonlyMap<number, number> | null {
  const renamed = new Map<number, number>([[0, 0]]);
  let before = 0;
  let now = 0;
  let changed = false;
  for (let epoch = 1; epoch < 31; epoch++) {
    if ((mask & (1 << epoch)) === 0) continue;
    const gap = epoch - before;
    const most = before === 0 ? 2 : GAP_MAX;
    now += gap <= most ? gap : most - ((gap - most) % 2);
    before = epoch;
    changed ||= now !== epoch;
    renamed.set(epoch, now);
  }
  return changed ? renamed : null;
}

/** The bits of epochs in use. Throws beyond what a mask holds. */
export function epochMask(epochs: readonly number[]): number {
  let mask = 0;
  for (const epoch of epochs) {
    if (epoch > 30) throw new Error(`epoch ${epoch} is beyond the model`);
    mask |= 1 << epoch;
  }
  return mask;
}

/** Epochs and lowest position in what a server knows. */
export function describeMind({ record, peer, peerPosition, database, witness }: Server) {
  const effects = record.inFlight?.effects ?? [];
  return {
    epochs: epochMask([
      record.epoch,
      record.hold,
      record.lineage,
      record.promised?.epoch ?? 0,
      record.request?.epoch ?? 0,
      record.peerPosition?.lineage ?? 0,
      peerPosition?.lineage ?? 0,
      witness?.holder?.epoch ?? 0,
      ...(peer ? epochsOfView(peer) : []),
      ...effects.flatMap((effect) => epochsOfRequest(effect)),
    ]),
    lowestLsn: lowest([
      record.finalLsn,
      record.peerPosition?.lsn,
      peerPosition?.lsn,
      peer?.lsn,
      peer?.finalLsn,
      database?.lsn,
      ...effects.map((effect) =>
        effect.kind === 'await-data' ? effect.lsn : effect.kind === 'promote-database' ? effect.requiredLsn : null,
      ),
      ...effects.map((effect) => (effect.kind === 'request-consent' ? effect.knownFinalLsn : null)),
    ]),
  };
}

/** The same of what is physically true. The logs themselves are compared elsewhere. */
export function describeBody({ log, told, progress }: Body) {
  return {
    epochs: epochMask([...log, ...told.map(([lineage]) => lineage)]),
    lowestLsn: Math.min(lowest([progress?.finalLsn]), ...told.map(([, length]) => length)),
  };
}

/** The same of the messages under way. */
export function describeNet({ messages }: Net) {
  const views = messages.flatMap((message) => (message.kind === 'status' ? [message.status] : []));
  const asked = messages.flatMap((message) => ('epoch' in message ? epochsOfRequest(message) : []));
  return {
    epochs: epochMask([...asked, ...views.flatMap(epochsOfView)]),
    lowestLsn: lowest([
      ...views.flatMap(({ lsn, finalLsn }) => [lsn, finalLsn]),
      ...messages.map((message) => (message.kind === 'consent-request' ? message.knownFinalLsn : null)),
    ]),
  };
}

/** The same of what the witness has. */
export function describeWitness({ lease }: Witness) {
  return { epochs: epochMask(lease === null ? [] : [lease.epoch]), lowestLsn: Number.POSITIVE_INFINITY };
}

function epochsOfRequest(request: { readonly epoch: number; readonly knownLineage?: number }): number[] {
  return [request.epoch, request.knownLineage ?? 0];
}

function epochsOfView({ epoch, hold, lineage }: PeerView): number[] {
  return [epoch, hold, lineage];
}

function lowest(positions: readonly (Lsn | null | undefined)[]): number {
  let result = Number.POSITIVE_INFINITY;
  for (const lsn of positions) if (lsn != null) result = Math.min(result, Math.max(FIRST_LSN, lengthOf(lsn)));
  return result;
}

/** How many entries a log up to this position has. */
export function lengthOf(lsn: Lsn): number {
  return Number(parseLsn(lsn));
}

/** The position at the end of a log. */
export function lsnOf(length: number): Lsn {
  return formatLsn(BigInt(length));
}

function moved<T extends Lsn | null | undefined>(lsn: T, shift: number): T {
  if (lsn == null || shift === 0) return lsn;
  const length = lengthOf(lsn);
  return (length < FIRST_LSN ? lsn : lsnOf(length - shift)) as T;
}

/** What a server knows, under other names. */
export function renameMind(mind: Server, { epoch, shift }: Renaming): Server {
  const { record } = mind;
  const { promised, request, peerPosition, inFlight } = record;
  return {
    ...mind,
    record: {
      ...record,
      epoch: epoch(record.epoch),
      hold: epoch(record.hold),
      lineage: epoch(record.lineage),
      finalLsn: moved(record.finalLsn, shift),
      promised: promised && { ...promised, epoch: epoch(promised.epoch) },
      request: request && { ...request, epoch: epoch(request.epoch), nonce: nonceOf(epoch(request.epoch)) },
      peerPosition: peerPosition && { lineage: epoch(peerPosition.lineage), lsn: moved(peerPosition.lsn, shift) },
      inFlight: inFlight && {
        ...inFlight,
        effects: inFlight.effects.map((effect) => {
          const renamed = { ...effect, epoch: epoch(effect.epoch) };
          if (renamed.kind === 'acquire-lease') return { ...renamed, nonce: nonceOf(renamed.epoch) };
          if (renamed.kind === 'request-consent')
            return {
              ...renamed,
              nonce: nonceOf(renamed.epoch),
              ...renameKnown(renamed, { epoch, shift }),
            };
          if (renamed.kind === 'await-data') return { ...renamed, lsn: moved(renamed.lsn, shift) };
          if (renamed.kind === 'promote-database')
            return { ...renamed, requiredLsn: moved(renamed.requiredLsn, shift) };
          return renamed;
        }),
      },
    },
    peerPosition: mind.peerPosition && {
      lineage: epoch(mind.peerPosition.lineage),
      lsn: moved(mind.peerPosition.lsn, shift),
    },
    peer: mind.peer && renameView(mind.peer, { epoch, shift }),
    database: mind.database && { ...mind.database, lsn: moved(mind.database.lsn, shift) },
    witness: mind.witness && {
      ...mind.witness,
      holder: mind.witness.holder && { ...mind.witness.holder, epoch: epoch(mind.witness.holder.epoch) },
    },
  };
}

function renameView(view: PeerView, { epoch, shift }: Renaming): PeerView {
  return {
    ...view,
    epoch: epoch(view.epoch),
    hold: epoch(view.hold),
    lineage: epoch(view.lineage),
    finalLsn: moved(view.finalLsn, shift),
    lsn: moved(view.lsn, shift),
  };
}

function renameKnown(
  { knownLineage, knownFinalLsn }: Pick<ConsentRequest, 'knownLineage' | 'knownFinalLsn'>,
  { epoch, shift }: Renaming,
) {
  return { knownLineage: epoch(knownLineage), knownFinalLsn: moved(knownFinalLsn, shift) };
}

/** What is physically true, under other names; the first `common` entries of the log are in both logs. */
export function renameBody(body: Body, { epoch, shift }: Renaming, common: number): Body {
  const { progress } = body;
  return {
    ...body,
    log: body.log.map((mark, index) => (index < common ? 0 : epoch(mark))).slice(shift),
    told: body.told.map(([lineage, length]) => [epoch(lineage), length - shift] as const),
    progress: progress?.finalLsn === undefined ? progress : { ...progress, finalLsn: moved(progress.finalLsn, shift) },
  };
}

/** Messages under other names, in one order. */
export function renameNet(net: Net, renaming: Renaming): Net {
  return {
    ...net,
    messages: sorted(
      net.messages.map((message): Message => {
        if (message.kind === 'status') return { ...message, status: renameView(message.status, renaming) };
        if (message.kind === 'consent-request')
          return { ...message, epoch: renaming.epoch(message.epoch), ...renameKnown(message, renaming) };
        if ('epoch' in message) return { ...message, epoch: renaming.epoch(message.epoch) };
        return message;
      }),
    ),
  };
}

/** What the witness has, under other names. */
export function renameWitness(witness: Witness, { epoch }: Renaming): Witness {
  const { lease } = witness;
  return lease === null ? witness : { ...witness, lease: { ...lease, epoch: epoch(lease.epoch) } };
}

/** In one order, so that sets of messages that are equal look equal. */
export function sorted(messages: readonly Message[]): readonly Message[] {
  if (messages.length < 2) return messages;
  return messages
    .map((message) => ({ message, text: JSON.stringify(message) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1))
    .map(({ message }) => message);
}
