import { describe, expect, it } from '@jest/globals';
import { newRecord, type ServerRecord } from '@understudy/ha-core';
import { type Clock, type NodeStore, SILENT_LOGGER } from '@understudy/platform';
import type { RecoveredJournal } from '../domain/recollection.ts';
import type { DecisionJournal } from '../ports/decision-journal.port.ts';
import { RecordKeeper, type RecordOwner } from './record-keeper.ts';

const PAIRED: ServerRecord = { ...newRecord('primary', 'run'), pairId: 'pair', epoch: 7, hold: 7, armed: true };
const UNPAIRED = newRecord('primary', 'run');
const OWNER: RecordOwner = {
  role: 'primary',
  runId: 'run',
  pinnedPair: 'pair',
  databaseWasPaired: false,
  hasBegun: true,
};
const NOBODY = { ...OWNER, pinnedPair: null };
const NOTHING: RecoveredJournal = { kept: null, sequence: 0, isDamaged: false };
const UNIX_SECONDS = 1_800_000_000;

const journalOf = (record: ServerRecord, sequence: number, more: Partial<RecoveredJournal> = {}): RecoveredJournal => ({
  kept: { record, isOwn: true },
  sequence,
  isDamaged: false,
  ...more,
});

type Stored = { record: ServerRecord; sequence: number } | ServerRecord | null | 'away';

async function opened(recovered: RecoveredJournal, stored: Stored, owner = OWNER) {
  const written: string[] = [];
  const get = async () => {
    if (stored === 'away') throw new Error('it is loading');
    return stored === null ? null : JSON.stringify(stored);
  };
  const set = async (_key: string, text: string) => void written.push(text);
  const store = { client: { get, set } } as unknown as NodeStore;
  const clock = { now: 0 };
  const times = { nowMs: () => clock.now, unixMs: () => UNIX_SECONDS * 1000 } as Clock;
  const journal = new HeldJournal(recovered);
  const keeper = await RecordKeeper.open(journal, store, owner, times, SILENT_LOGGER);
  return { keeper, journal, written, clock, record: keeper.record, notice: keeper.notice };
}

/** A journal in memory whose disk can be stuck, and whose file can be removed. */
class HeldJournal implements DecisionJournal {
  sequence = 0;
  inPlace = true;
  stuck: PromiseWithResolvers<void> | null = null;

  constructor(readonly recovered: RecoveredJournal) {
    this.sequence = recovered.sequence;
  }

  continueAfter(sequence: number): void {
    this.sequence = Math.max(this.sequence, sequence);
  }

  async write(): Promise<number> {
    await this.stuck?.promise;
    this.inPlace = true;
    this.sequence += 1;
    return this.sequence;
  }

  async isInPlace(): Promise<boolean> {
    return this.inPlace;
  }
}

describe('the record of the decisions at a start', () => {
  it('is that of the journal, whether the store is away, behind or of an earlier version', async () => {
    for (const stored of ['away', null, { record: UNPAIRED, sequence: 3 }, UNPAIRED] as const) {
      const { record, notice } = await opened(journalOf(PAIRED, 5), stored);
      expect(record).toMatchObject({ epoch: 7, hold: 7, doubt: null });
      expect(notice).toBeNull();
    }
  });

  it('is a new one where nothing was ever decided', async () => {
    for (const stored of [null, 'away'] as const) {
      const { record, notice } = await opened(NOTHING, stored, { ...NOBODY, hasBegun: false });
      expect(record).toMatchObject({ state: 'ha-not-configured', epoch: 0, doubt: null });
      expect(notice).toBeNull();
    }
  });

  it('begins anew, beyond every epoch used, where all is lost of a server that was in no pair', async () => {
    const { record, notice } = await opened(NOTHING, null, NOBODY);
    expect(record).toMatchObject({ state: 'ha-not-configured', epoch: UNIX_SECONDS, doubt: null });
    expect(notice?.code).toBe('record-restored');
  });

  it('is taken from the store when the journal is gone, and doubted: the store may be behind', async () => {
    const { record, notice, journal } = await opened(NOTHING, { record: PAIRED, sequence: 9 });
    expect(record).toMatchObject({ pairId: 'pair', hold: 0, armed: false, epoch: UNIX_SECONDS });
    expect(record.doubt).toContain('the journal of this server is gone; the record was taken from the node store');
    expect(notice).toMatchObject({ severity: 'critical', code: 'record-lost' });
    expect(journal.sequence).toBe(9);
  });

  it('is the store’s where the journal is older, and doubted', async () => {
    const { record } = await opened(journalOf(UNPAIRED, 4), { record: PAIRED, sequence: 9 });
    expect(record).toMatchObject({ pairId: 'pair', state: 'primary-alone', hold: 0 });
    expect(record.doubt).toContain('older than its node store');
  });

  it('is doubted where nothing is left of it and a peer is pinned, or PostgreSQL has traces of one', async () => {
    expect((await opened(NOTHING, null)).record).toMatchObject({ pairId: 'pair', state: 'primary-alone', hold: 0 });
    const traces = await opened(NOTHING, null, { ...NOBODY, databaseWasPaired: true });
    expect(traces.record.doubt).toContain('the node store has no record either');
    expect(traces.record.pairId).toBe('unknown');
  });

  it('is doubted where the journal is that of another server', async () => {
    const foreign = journalOf(PAIRED, 50, { kept: { record: { ...PAIRED, pairId: 'another' }, isOwn: false } });
    const { record } = await opened(foreign, null);
    expect(record).toMatchObject({ pairId: 'pair', hold: 0 });
    expect(record.doubt).toContain('is that of another server');
  });

  it('believes half of a journal only when the store says the same, or has the record that is missing', async () => {
    const half = journalOf(PAIRED, 5, { isDamaged: true });
    expect((await opened(half, { record: PAIRED, sequence: 5 })).record.doubt).toBeNull();
    const next = await opened(half, { record: { ...PAIRED, hold: 0 }, sequence: 6 });
    expect(next.record).toMatchObject({ hold: 0, doubt: null, epoch: 7 });
    expect(next.notice?.message).toContain('the newest record in the journal is damaged'.replace('the', 'The'));
    for (const stored of [null, { record: PAIRED, sequence: 3 }, { record: PAIRED, sequence: 8 }])
      expect((await opened(half, stored)).record.doubt).not.toBeNull();
    const all = await opened({ kept: null, sequence: 0, isDamaged: true }, { record: PAIRED, sequence: 5 });
    expect(all.record.doubt).toContain('is damaged');
  });

  it('does not unpair a server that has a peer by a journal from before the pair', async () => {
    expect((await opened(journalOf(UNPAIRED, 4), null)).record).toMatchObject({ pairId: 'pair', hold: 0 });
    // a removal that was interrupted, and a registration that came no further
    const removed = { ...UNPAIRED, dissolved: ['pair'] };
    expect((await opened(journalOf(removed, 4), null)).record.pairId).toBeNull();
    expect((await opened(journalOf(UNPAIRED, 4), { record: UNPAIRED, sequence: 4 })).record.pairId).toBeNull();
  });

  it('waits for the store when only that can tell', async () => {
    await expect(opened(NOTHING, 'away')).rejects.toThrow('the node store does not say what was decided');
    await expect(opened(journalOf(PAIRED, 5, { isDamaged: true }), 'away')).rejects.toThrow('is damaged');
  });

  it('is never that of the other role', async () => {
    const other = journalOf({ ...PAIRED, role: 'secondary' }, 5);
    await expect(opened(other, null)).rejects.toThrow('node.role cannot change');
  });
});

describe('the record of the decisions while it is kept', () => {
  it('goes to the store with the number that it has in the journal', async () => {
    const { keeper, written } = await opened(journalOf(PAIRED, 5), null);
    await keeper.write({ ...PAIRED, epoch: 8 });
    await new Promise(setImmediate);
    expect(JSON.parse(written.at(-1) ?? '{}')).toMatchObject({ sequence: 6, record: { epoch: 8 } });
  });

  it('is written anew when the journal was removed under it', async () => {
    const { keeper, journal } = await opened(journalOf(PAIRED, 5), null);
    expect(await keeper.look()).toBe(false);
    journal.inPlace = false;
    expect(await keeper.look()).toBe(true);
    expect(journal.sequence).toBe(6);
  });

  it('says after ten seconds that the journal does not answer, and until it does', async () => {
    const { keeper, journal, clock } = await opened(journalOf(PAIRED, 5), null);
    journal.stuck = Promise.withResolvers();
    const written = keeper.write({ ...PAIRED, epoch: 8 });
    clock.now = 10_000;
    expect(keeper.silentMs).toBeNull();
    clock.now = 10_001;
    expect(keeper.silentMs).toBe(10_001);
    expect(await keeper.look()).toBe(false);
    journal.stuck.resolve();
    await written;
    expect(keeper.silentMs).toBeNull();
  });
});
