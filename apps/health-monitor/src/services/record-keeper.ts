import { existsSync } from 'node:fs';
import { newRecord, type ServerRecord, type ServerRole } from '@understudy/ha-core';
import type { JournalPort } from '@understudy/ha-runtime';
import type { Logger, NodeStore } from '@understudy/platform';
import type { DecisionJournal } from '../ports/decision-journal.port.ts';

const KEY = 'ha:record';

/**
 * The decision record: journal first, then the node store. The store may be away or behind; it follows, the journal decides.
 */
export class RecordKeeper implements JournalPort {
  /** The record as last written. */
  latest: ServerRecord;
  private pending: ServerRecord | null = null;
  private saving = false;

  private constructor(
    private readonly journal: DecisionJournal,
    private readonly store: NodeStore,
    /** The record at the start of this process. */
    readonly record: ServerRecord,
  ) {
    this.latest = record;
  }

  /**
   * Takes the record from the journal; from the store only when the journal has none; a new one when nothing was ever decided. Throws
   * when a peer is pinned and its record is not to be had: a server of a pair must not believe itself new.
   */
  static async open(
    journal: DecisionJournal,
    store: NodeStore,
    { role, runId, peerFile }: { role: ServerRole; runId: string; peerFile: string },
    logger: Logger,
  ): Promise<RecordKeeper> {
    const isPaired = existsSync(peerFile);
    const stored = journal.recovered ? null : await readStore(store, isPaired, logger);
    if (journal.recovered === null && stored === null && isPaired)
      throw new Error(
        `the record of the decisions is gone from the journal and from the node store, although this server has a peer: bring one of them back, or remove ${peerFile} on this server to begin unpaired with the data that are here, and register the pair anew`,
      );
    const record = journal.recovered ?? stored ?? newRecord(role, `none-before-${runId}`);
    if (record.role !== role)
      throw new Error(
        `the journal is that of a ${record.role}, this server is configured as ${role}: node.role cannot change, use an empty node.dataDirectory`,
      );
    if (stored !== null) logger.warn('The journal was empty: the record was taken from the node store');
    const complete = { ...newRecord(role, runId), ...record };
    return new RecordKeeper(journal, store, complete);
  }

  async write(record: ServerRecord): Promise<void> {
    await this.journal.write(record);
    this.latest = record;
    this.pending = record;
    void this.follow();
  }

  /** Brings the store up to date with the last record; losing the store loses nothing. */
  private async follow(): Promise<void> {
    if (this.saving) return;
    this.saving = true;
    try {
      while (this.pending !== null) {
        const record = this.pending;
        this.pending = null;
        await this.store.client.set(KEY, JSON.stringify(record));
      }
    } catch {
      // the journal has it; the next write brings the store up to date
    } finally {
      this.saving = false;
    }
  }
}

async function readStore(store: NodeStore, isNeeded: boolean, logger: Logger): Promise<ServerRecord | null> {
  try {
    const text = await store.client.get(KEY);
    return text === null ? null : (JSON.parse(text) as ServerRecord);
  } catch (error) {
    if (isNeeded) throw new Error(`the journal is empty, and the node store does not say what was decided: ${error}`);
    logger.warn('The node store could not be asked for the record', { error });
    return null;
  }
}
