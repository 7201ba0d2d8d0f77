import { type PeerIdentity, parseLsn } from '@understudy/contracts';
import { PEER_SLOT } from '@understudy/platform';
import { type PeerServer, withPeer } from '../adapters/sql.ts';
import type { PeerPast } from '../domain/rejoin-decision.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import { parseTimelineHistory } from '../domain/timeline-history.ts';

/** `slot`: null when the peer keeps none for us. `oldest`: its first WAL file, without the timeline. */
const STATE = `
select pg_is_in_recovery() as standby,
       (select wal_status from pg_replication_slots where slot_name = '${PEER_SLOT}') as slot,
       (select min(substr(name, 9)) from pg_ls_dir('pg_wal', false, false) as name where name ~ '^[0-9A-F]{24}$') as oldest,
       pg_size_bytes(current_setting('wal_segment_size'))::text as segment_bytes`;

const UNDEFINED_OBJECT = '42704';
const DUPLICATE_OBJECT = '42710';
const DEADLINE_MS = 5000;
const CHECKPOINT_LIMIT_MS = 600_000;

/**
 * Proves that replication from the pinned peer would work, before anything here is touched: logs in as a standby would, sees that it is active, reads its
 * past, and makes sure that it keeps WAL for us. Fails with `peer-unreachable`.
 */
export async function examinePeer(server: PeerServer): Promise<PeerPast> {
  try {
    // The kind of login that the standby itself uses.
    await withPeer(server, DEADLINE_MS, (session) => session.query('IDENTIFY_SYSTEM'), 'stream');
    return await withPeer(server, DEADLINE_MS, async (session) => {
      const [state] = await session.query(STATE);
      if (state?.standby !== false) throw new Error('it is a standby itself, not active');
      // The peer looks after the slot as well, and may be quicker with either.
      if (state.slot === 'lost')
        await session.query(`DROP_REPLICATION_SLOT ${PEER_SLOT}`).catch(unlessCode(UNDEFINED_OBJECT));
      if (state.slot === null || state.slot === 'lost')
        await session
          .query(`CREATE_REPLICATION_SLOT ${PEER_SLOT} PHYSICAL RESERVE_WAL`)
          .catch(unlessCode(DUPLICATE_OBJECT));
      const [system] = await session.query('IDENTIFY_SYSTEM');
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
        oldestWal: positionOf(String(state.oldest ?? ''), BigInt(String(state.segment_bytes))),
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
  const asked = withPeer(server, 60_000, (session) => session.query('CHECKPOINT'));
  await unlessAborted(
    signal,
    asked.catch(() => undefined),
  );
  for (const until = performance.now() + CHECKPOINT_LIMIT_MS; (await now()) !== timeline; ) {
    signal.throwIfAborted();
    if (performance.now() > until)
      throw new TaskFailure('peer-not-ready', `the peer has made no checkpoint for ${CHECKPOINT_LIMIT_MS / 1000} s`);
    advance();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Bytes that a full copy of the peer brings; null when it does not tell. */
export async function sizeOfPeer(server: PeerServer): Promise<number | null> {
  const text = 'select sum(pg_database_size(oid))::text as bytes from pg_database';
  const [row] = await withPeer(server, 30_000, (session) => session.query(text)).catch(() => []);
  return row?.bytes === undefined ? null : Number(row.bytes);
}

/** Waits for something that cannot be stopped: when the signal comes it is left to itself. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Throws an error on, unless it has this code of PostgreSQL's. */
function unlessCode(code: string): (error: { code?: string }) => void {
  return (error) => {
    if (error.code !== code) throw error;
  };
}

function positionOf(name: string, segmentBytes: bigint): bigint | null {
  if (!/^[0-9A-F]{16}$/.test(name)) return null;
  return (BigInt(`0x${name.slice(0, 8)}`) << 32n) + BigInt(`0x${name.slice(8)}`) * segmentBytes;
}

function where(peer: PeerIdentity): string {
  return `${peer.name} at ${peer.address}:${peer.ports.database}`;
}
