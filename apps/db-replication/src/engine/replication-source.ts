import { setTimeout as delay } from 'node:timers/promises';
import { PEER_SLOT, REPLICATION_ROLE } from '@understudy/platform';
import { type LocalServer, type Session, withLocal } from '../adapters/sql.ts';
import type { EngineEvents } from '../ports/engine-events.ts';

const DEADLINE_MS = 5000;
const SLOT_RELEASE_MS = 5000;

/** The role for replication, with what `pg_rewind` reads on its source and what starts the peer's checkpoints. */
const ROLE = `
do $$ begin
  if not exists (select from pg_roles where rolname = '${REPLICATION_ROLE}') then create role ${REPLICATION_ROLE}; end if;
  alter role ${REPLICATION_ROLE} login replication;
  grant pg_read_all_stats to ${REPLICATION_ROLE};
  grant execute on function pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean),
    pg_catalog.pg_read_binary_file(text), pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) to ${REPLICATION_ROLE};
  if current_setting('server_version_num')::int >= 150000 then execute 'grant pg_checkpoint to ${REPLICATION_ROLE}'; end if;
end $$`;

const CREATE_SLOT = `select pg_create_physical_replication_slot('${PEER_SLOT}', true)
  where not exists (select from pg_replication_slots where slot_name = '${PEER_SLOT}')`;

/**
 * A standby keeps the WAL since its last restart point: what the peer needs when this server is promoted, and what a rewind of the
 * peer needs.
 */
const ADVANCE_SLOT = `select pg_replication_slot_advance(slot_name, least(redo_lsn, pg_last_wal_replay_lsn()))
  from pg_replication_slots, pg_control_checkpoint()
  where slot_name = '${PEER_SLOT}' and not active and restart_lsn < least(redo_lsn, pg_last_wal_replay_lsn())`;

/** What the peer needs in this server's PostgreSQL to replicate from it: a role to log in, and a slot that keeps WAL for it. */
export class ReplicationSource {
  constructor(
    private readonly local: LocalServer,
    private readonly events: EngineEvents,
  ) {}

  /** Makes both on an active server. Safe to repeat. */
  async prepare(): Promise<void> {
    await this.ask((session) => session.query(ROLE));
    await this.keepSlot(true);
  }

  /** Ends the peer's login, its connections and its slot on an active server. Nothing there is success. */
  async retire(): Promise<void> {
    await this.ask(async (session) => {
      const [role] = await session.query(`select 1 from pg_roles where rolname = '${REPLICATION_ROLE}'`);
      const [state] = await session.query('select pg_is_in_recovery() as standby');
      if (role && state?.standby === false) await session.query(`alter role ${REPLICATION_ROLE} nologin`);
    });
    for (const until = performance.now() + SLOT_RELEASE_MS; ; await delay(50)) {
      const [used] = await this.ask((session) =>
        session.query(
          `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '${PEER_SLOT}' and active`,
        ),
      );
      if (!used || performance.now() > until) break;
    }
    await this.ask((session) =>
      session.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${PEER_SLOT}'`,
      ),
    );
  }

  /** Sees that the slot is there: on the active server for the peer's stream, on the standby as its mirror, moved along. */
  async keepSlot(isActive: boolean): Promise<void> {
    await this.ask(async (session) => {
      const [slot] = await session.query(
        `select wal_status from pg_replication_slots where slot_name = '${PEER_SLOT}'`,
      );
      if (slot?.wal_status === 'lost') {
        await session.query(`select pg_drop_replication_slot('${PEER_SLOT}')`);
        const message = 'the WAL kept for the peer outgrew database.walKeepLimit: it needs a full copy when it returns';
        if (isActive) this.events.incident({ severity: 'warning', code: 'slot-lost', message });
      }
      // Another look may have made it meanwhile.
      await session.query(CREATE_SLOT).catch(async (error: { code?: string }) => {
        if (error.code !== '42710') throw error;
      });
      if (!isActive) await session.query(ADVANCE_SLOT);
    });
  }

  private ask<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return withLocal(this.local, DEADLINE_MS, work);
  }
}
