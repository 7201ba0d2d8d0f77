import { lsnDistance } from './lsn.ts';
import { lineageOf, type Server, type ServerRecord } from './server.ts';

/**
 * Bytes that the peer is known to have and this server lacks, by what was last heard of each; null when unknown. Never negative; what
 * the peer has of an earlier owner than ours is not missed.
 */
export function missingBytes(server: Server): number | null {
  const { record, database } = server;
  const position = peerPosition(server);
  if (position === null || database?.lsn == null) return null;
  return position.lineage < lineageOf(record) ? 0 : Math.max(0, lsnDistance(database.lsn, position.lsn));
}

/** How far the peer's data go at least: as it said last. */
export function peerPosition({ record, peer, peerPosition: heard }: Server): ServerRecord['peerPosition'] {
  return peer?.lsn != null ? { lineage: peer.lineage, lsn: peer.lsn } : (heard ?? record.peerPosition);
}

/** The same as missingBytes by what the peer says now, null when it does not: what it said before is only how far it had got then. */
export function missingBytesNow(server: Server): number | null {
  return server.peer?.lsn == null ? null : missingBytes(server);
}

/**
 * Bytes by which this standby is behind the active peer: the worse of what it has not received and what it has not replayed.
 * What it lacks is the active server's own measure where there is one: two positions looked at by two servers are up to a
 * second apart.
 */
export function lagBytes(server: Server): number {
  const { peer, database } = server;
  return Math.max((peer?.streaming ? peer.lagBytes : null) ?? missingBytes(server) ?? 0, database?.lagBytes ?? 0);
}
