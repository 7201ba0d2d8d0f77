import { type PeerIdentity, parseLsn } from '@understudy/contracts';
import { type PeerServer, withPeer } from '../adapters/sql.ts';
import type { PeerPast } from '../domain/rejoin-decision.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import { parseTimelineHistory } from '../domain/timeline-history.ts';
import { PEER_SLOT } from './configuration-files.ts';

const DEADLINE_MS = 5000;
const CHECKPOINT_LIMIT_MS = 600_000;

/**
 * Proves that replication from the pinned peer would work, before anything here is touched: logs in, sees that it is active, reads its
 * past, and makes sure that it keeps WAL for us. Fails with `peer-unreachable`.
 */
export async function examinePeer(server: PeerServer): Promise<PeerPast> {
  try {
    return await withPeer(server, DEADLINE_MS, async (session) => {
      const [system] = await session.query('IDENTIFY_SYSTEM');
      const [state] = await session.query(
        `select pg_is_in_recovery() as standby, (select wal_status from pg_replication_slots where slot_name = '${PEER_SLOT}') as slot`,
      );
      if (state?.standby !== false) throw new Error('it is a standby itself, not active');
      if (state.slot === 'lost') await session.query(`DROP_REPLICATION_SLOT ${PEER_SLOT}`);
      if (state.slot === null || state.slot === 'lost')
        await session.query(`CREATE_REPLICATION_SLOT ${PEER_SLOT} PHYSICAL RESERVE_WAL`);
      const timeline = Number(system?.timeline);
      const [history] = timeline > 1 ? await session.query(`TIMELINE_HISTORY ${timeline}`) : [];
      const content = history?.content;
      return {
        systemIdentifier: String(system?.systemid),
        timeline,
        position: parseLsn(String(system?.xlogpos)),
        branch: parseTimelineHistory(
          timeline,
          Buffer.isBuffer(content) ? content.toString('utf8') : String(content ?? ''),
        ),
        oldestWal: null,
        slotLost: state.slot === 'lost',
      };
    });
  } catch (error) {
    throw new TaskFailure('peer-unreachable', `PostgreSQL of ${where(server.peer)}: ${messageOf(error)}`);
  }
}

/**
 * Waits until the peer's pg_control is on its present timeline: right after a promotion it is not before a checkpoint is done, and a
 * rewind before that would be misled.
 */
export async function awaitCheckpointOn(
  server: PeerServer,
  timeline: number,
  signal: AbortSignal,
  advance: () => void,
): Promise<void> {
  const now = () =>
    withPeer(server, DEADLINE_MS, async (session) => {
      const [row] = await session.query('select timeline_id from pg_control_checkpoint()');
      return Number(row?.timeline_id);
    });
  if ((await now()) === timeline) return;
  await withPeer(server, 60_000, (session) => session.query('CHECKPOINT')).catch(() => undefined);
  for (const until = performance.now() + CHECKPOINT_LIMIT_MS; (await now()) !== timeline; ) {
    signal.throwIfAborted();
    if (performance.now() > until)
      throw new TaskFailure('rewind-failed', `the peer has made no checkpoint for ${CHECKPOINT_LIMIT_MS / 1000} s`);
    advance();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function where(peer: PeerIdentity): string {
  return `${peer.name} at ${peer.address}:${peer.ports.database}`;
}
