import type { Effect, EffectKind } from './effects.ts';
import type { Server } from './server.ts';

/** Fills in what an effect needs from the record as the decision leaves it. */
export function planEffect(kind: EffectKind, { record, peer }: Server): Effect {
  const epoch = record.epoch;
  switch (kind) {
    case 'promote-database':
      return { kind, epoch, requiredLsn: record.cause === 'hand-over' ? (peer?.finalLsn ?? null) : null };
    case 'follow-peer':
      return { kind, epoch, forceCopy: !record.complete, lastInSyncUnixMs: record.lastInSyncUnixMs };
    case 'await-data':
      return { kind, epoch, lsn: peer?.finalLsn ?? '0/0' };
    case 'acquire-lease':
      return { kind, epoch: record.request?.epoch ?? epoch, nonce: record.request?.nonce ?? '' };
    case 'request-consent':
      return {
        kind,
        epoch: record.request?.epoch ?? epoch,
        nonce: record.request?.nonce ?? '',
        knownLineage: peer?.lineage ?? 0,
        knownFinalLsn: peer?.finalLsn ?? null,
      };
    case 'request-hand-over':
    case 'register-with-peer':
      return { kind, epoch, operationId: record.operation?.id ?? '' };
    case 'announce-dissolution':
      return { kind, epoch, pairId: record.dissolved.at(-1) ?? '' };
    case 'retire-pairing':
      // a whole copy may be the only one that is left
      return { kind, epoch, discardCopy: !record.complete };
    default:
      return { kind, epoch };
  }
}
