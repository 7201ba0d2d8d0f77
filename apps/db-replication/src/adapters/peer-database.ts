import { isIP } from 'node:net';
import { type PeerIdentity, parseLsn } from '@understudy/contracts';
import { fingerprintOf } from '@understudy/platform';
import { connectionString, REPLICATION_ROLE, slotNameOf } from '../domain/connection-string.ts';
import type { PeerPast } from '../domain/rejoin-decision.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import { parseTimelineHistory } from '../domain/timeline-history.ts';
import { historyFileName, parseSegmentName } from '../domain/wal-position.ts';
import { type Session, withSession } from './local-session.ts';

const PEER_DEADLINE_MS = 5000;

/** Files with which we prove who we are to the peer's PostgreSQL, readable by PostgreSQL's user. */
export interface OwnCertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly peerCertificateFile: string;
}

/** The pinned peer's PostgreSQL, reached by TLS with the pinned certificates, as the replication role. */
export class PeerDatabase {
  constructor(
    private readonly serverName: string,
    readonly peer: PeerIdentity,
    private readonly files: OwnCertificateFiles,
  ) {}

  /** Name of the slot that the peer keeps for this server. */
  get slot(): string {
    return slotNameOf(this.serverName);
  }

  /** libpq connection string for the WAL receiver, pg_basebackup and pg_rewind. */
  connectionString(database?: string): string {
    return connectionString({
      host: this.peer.address,
      port: this.peer.ports.database,
      user: REPLICATION_ROLE,
      ...(database ? { dbname: database } : {}),
      application_name: this.slot,
      // The authority is the peer's own certificate: no other one can be presented, whatever name was dialled.
      sslmode: 'verify-ca',
      sslrootcert: this.files.peerCertificateFile,
      sslcert: this.files.certificateFile,
      sslkey: this.files.keyFile,
      gssencmode: 'disable',
      connect_timeout: 5,
      keepalives_idle: 5,
      keepalives_interval: 2,
      keepalives_count: 3,
      tcp_user_timeout: 10_000,
    });
  }

  /**
   * Proves that a replication login works, that the peer is active, and reads its past; creates the slot kept for this server when
   * it is missing. Fails with `peer-unreachable`.
   */
  async examine(walSegmentBytes: number): Promise<PeerPast> {
    try {
      const login = await this.replicationSession((session) => readPast(session));
      const state = await this.sqlSession((session) => readState(session, this.slot, walSegmentBytes));
      if (state.inRecovery) throw new Error('it is a standby itself, not active');
      if (!state.hasSlot) await this.createSlot();
      return { ...login, oldestWal: state.oldestWal, slotLost: state.slotLost };
    } catch (error) {
      throw new TaskFailure('peer-unreachable', `PostgreSQL of ${this.where}: ${messageOf(error)}`);
    }
  }

  /** A new slot in place of one that was lost, so that the copy that follows finds its WAL to the end. */
  async recreateSlot(): Promise<void> {
    await this.replicationSession((session) => session.query(`DROP_REPLICATION_SLOT ${this.slot}`)).catch(
      () => undefined,
    );
    await this.createSlot();
  }

  /**
   * Timeline in the peer's pg_control. Right after a promotion it is still the old one until a checkpoint is done, and a rewind
   * before that would be misled.
   */
  controlTimeline(): Promise<number> {
    return this.sqlSession(async (session) => {
      const [row] = await session.query<{ timeline_id: number }>('select timeline_id from pg_control_checkpoint()');
      return Number(row?.timeline_id);
    });
  }

  /** Asks the peer for a checkpoint; without the right to do so (before PostgreSQL 15) its own comes in time. */
  async requestCheckpoint(): Promise<void> {
    await this.sqlSession((session) => session.query('CHECKPOINT'), 60_000).catch(() => undefined);
  }

  /** Size of what a full copy brings; null when it cannot be told. */
  async totalBytes(): Promise<number | null> {
    return this.sqlSession(async (session) => {
      const [row] = await session.query<{ bytes: string }>(
        'select sum(pg_database_size(oid))::text as bytes from pg_database',
      );
      return row ? Number(row.bytes) : null;
    }, 30_000).catch(() => null);
  }

  private get where(): string {
    return `${this.peer.name} at ${this.peer.address}:${this.peer.ports.database}`;
  }

  private async createSlot(): Promise<void> {
    await this.replicationSession((session) =>
      session.query(`CREATE_REPLICATION_SLOT ${this.slot} PHYSICAL RESERVE_WAL`),
    );
  }

  private replicationSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return withSession({ ...this.address, replication: 'true' }, PEER_DEADLINE_MS, work);
  }

  private sqlSession<T>(work: (session: Session) => Promise<T>, deadlineMs = PEER_DEADLINE_MS): Promise<T> {
    return withSession({ ...this.address, database: 'postgres' }, deadlineMs, work);
  }

  private get address() {
    const { address, ports, certificatePem, fingerprint } = this.peer;
    return {
      host: address,
      port: ports.database,
      user: REPLICATION_ROLE,
      application_name: 'understudy_check',
      ssl: {
        ca: certificatePem,
        cert: this.files.certificatePem,
        key: this.files.keyPem,
        ...(isIP(address) ? {} : { servername: address }),
        checkServerIdentity: (_: string, certificate: { raw: Buffer }) => {
          const pem = `-----BEGIN CERTIFICATE-----\n${certificate.raw.toString('base64')}\n-----END CERTIFICATE-----\n`;
          return fingerprintOf(pem) === fingerprint ? undefined : new Error('its certificate is not the pinned one');
        },
      },
    };
  }
}

async function readPast(session: Session) {
  const [system] = await session.query<{ systemid: string; timeline: number | string; xlogpos: string }>(
    'IDENTIFY_SYSTEM',
  );
  if (!system) throw new Error('IDENTIFY_SYSTEM returned nothing');
  const timeline = Number(system.timeline);
  return {
    systemIdentifier: system.systemid,
    timeline,
    position: parseLsn(system.xlogpos),
    branch: parseTimelineHistory(timeline, await readHistory(session, timeline)),
  };
}

/** Content of a timeline's history; empty for the first one, which has none. */
export async function readHistory(session: Session, timeline: number): Promise<string> {
  if (timeline <= 1) return '';
  const [row] = await session.query<{ content: string | Buffer }>(`TIMELINE_HISTORY ${timeline}`);
  if (!row) throw new Error(`${historyFileName(timeline)} is missing`);
  return Buffer.isBuffer(row.content) ? row.content.toString('utf8') : row.content;
}

async function readState(session: Session, slot: string, walSegmentBytes: number) {
  const [row] = await session.query<{
    in_recovery: boolean;
    wal_status: string | null;
    has_slot: boolean;
    oldest: string | null;
  }>(
    `select pg_is_in_recovery() as in_recovery, s.slot_name is not null as has_slot, s.wal_status,
            (select min(substr(name, 9, 16)) from pg_ls_dir('pg_wal') as name where name ~ '^[0-9A-F]{24}$') as oldest
       from (select 1) as one left join pg_replication_slots s on s.slot_name = $1`,
    [slot],
  );
  if (!row) throw new Error('it returned nothing');
  const oldest = row.oldest ? parseSegmentName(`00000001${row.oldest}`, walSegmentBytes) : null;
  return {
    inRecovery: row.in_recovery,
    hasSlot: row.has_slot,
    slotLost: row.wal_status === 'lost',
    oldestWal: oldest?.start ?? null,
  };
}
