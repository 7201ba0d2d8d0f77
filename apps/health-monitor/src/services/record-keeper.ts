import { newRecord, type ServerRecord, type ServerRole } from '@understudy/ha-core';
import type { JournalPort } from '@understudy/ha-runtime';
import type { Clock, Logger, NodeStore } from '@understudy/platform';
import { type RecordNotice, recollect, type StoredRecord } from '../domain/recollection.ts';
import type { DecisionJournal } from '../ports/decision-journal.port.ts';

const KEY = 'ha:record';
/** A write of the journal that takes longer is told to people. */
const SILENT_LIMIT_MS = 10_000;

/** Whose record it is, and what is known of its pair without it. */
export interface RecordOwner {
  readonly role: ServerRole;
  readonly runId: string;
  /** Pair of the pinned peer, null when none is pinned. */
  readonly pinnedPair: string | null;
  /** PostgreSQL's files say that this server has been a member of a pair. */
  readonly databaseWasPaired: boolean;
  /** The database of this server was commanded before. */
  readonly hasBegun: boolean;
}

/**
 * The decision record: journal first, then the node store. The store may be away or behind; it follows, the journal decides, unless it is
 * lost or older (`recollect`).
 */
export class RecordKeeper implements JournalPort {
  /** The record as last written. */
  latest: ServerRecord;
  private pending: StoredRecord | null = null;
  private saving = false;
  private looking = false;
  private writingSinceMs: number | null = null;

  private constructor(
    private readonly journal: DecisionJournal,
    private readonly store: NodeStore,
    private readonly clock: Clock,
    /** The record at the start of this process. */
    readonly record: ServerRecord,
    /** What is to be said about where that came from. */
    readonly notice: RecordNotice | null,
  ) {
    this.latest = record;
  }

  /** Takes the newest record that can be proved. Throws when only the node store could tell, and it cannot be asked. */
  static async open(
    journal: DecisionJournal,
    store: NodeStore,
    owner: RecordOwner,
    clock: Clock,
    logger: Logger,
  ): Promise<RecordKeeper> {
    const { role, runId } = owner;
    const unixSeconds = Math.floor(clock.unixMs() / 1000);
    const stored = await readStore(store, logger);
    const { record, sequence, notice } = recollect({
      ...owner,
      journal: journal.recovered,
      store: stored,
      unixSeconds,
    });
    if (record.role !== role)
      throw new Error(
        `the journal is that of a ${record.role}, this server is configured as ${role}: node.role cannot change, use an empty node.dataDirectory`,
      );
    journal.continueAfter(sequence);
    return new RecordKeeper(journal, store, clock, { ...newRecord(role, runId), ...record }, notice);
  }

  /** How long the journal has not answered, in milliseconds, once that is longer than it should; null: it answers. */
  get silentMs(): number | null {
    const ms = this.writingSinceMs === null ? 0 : this.clock.nowMs() - this.writingSinceMs;
    return ms > SILENT_LIMIT_MS ? ms : null;
  }

  async write(record: ServerRecord): Promise<void> {
    this.writingSinceMs ??= this.clock.nowMs();
    const sequence = await this.journal.write(record);
    this.writingSinceMs = null;
    this.latest = record;
    this.pending = { record, sequence };
    void this.follow();
  }

  /**
   * Makes sure that the next start will find what was decided, and writes it anew where the journal was removed or replaced meanwhile:
   * whether that was so. Rejects when it cannot.
   */
  async look(): Promise<boolean> {
    if (this.looking || this.writingSinceMs !== null) return false;
    this.looking = true;
    try {
      if (await this.journal.isInPlace()) return false;
      await this.write(this.latest);
      return true;
    } finally {
      this.looking = false;
    }
  }

  /** Brings the store up to date with the last record; losing the store loses nothing. */
  private async follow(): Promise<void> {
    if (this.saving) return;
    this.saving = true;
    try {
      while (this.pending !== null) {
        const kept = this.pending;
        this.pending = null;
        await this.store.client.set(KEY, JSON.stringify(kept));
      }
    } catch {
      // the journal has it; the next write brings the store up to date
    } finally {
      this.saving = false;
    }
  }
}

async function readStore(store: NodeStore, logger: Logger): Promise<StoredRecord | null | 'unknown'> {
  try {
    const text = await store.client.get(KEY);
    if (text === null) return null;
    const kept = JSON.parse(text) as StoredRecord | ServerRecord;
    // an earlier version kept no number: it counts as older than any
    return 'record' in kept ? kept : { record: kept, sequence: 0 };
  } catch (error) {
    logger.warn('The node store could not be asked for the record', { error });
    return 'unknown';
  }
}
