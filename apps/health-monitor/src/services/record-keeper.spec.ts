import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { newRecord, type ServerRecord } from '@understudy/ha-core';
import { type NodeStore, SILENT_LOGGER } from '@understudy/platform';
import { RecordKeeper } from './record-keeper.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keeper-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const paired: ServerRecord = { ...newRecord('primary', 'run'), pairId: 'pair', epoch: 7 };

function opened(inStore: ServerRecord | null | 'away', options: { isPaired: boolean; journal?: ServerRecord }) {
  const peerFile = join(directory, 'peer.json');
  if (options.isPaired) writeFileSync(peerFile, '{}');
  const get = async () => {
    if (inStore === 'away') throw new Error('it is loading');
    return inStore === null ? null : JSON.stringify(inStore);
  };
  const store = { client: { get, set: async () => 'OK' } } as unknown as NodeStore;
  const journal = { recovered: options.journal ?? null, write: async () => undefined };
  return RecordKeeper.open(journal, store, { role: 'primary', runId: 'run', peerFile }, SILENT_LOGGER);
}

describe('the record of the decisions', () => {
  it('is that of the journal, else that of the node store', async () => {
    expect((await opened('away', { isPaired: true, journal: paired })).record.epoch).toBe(7);
    expect((await opened(paired, { isPaired: true })).record.epoch).toBe(7);
  });

  it('is a new one where nothing was ever decided', async () => {
    expect((await opened(null, { isPaired: false })).record.state).toBe('ha-not-configured');
    expect((await opened('away', { isPaired: false })).record.state).toBe('ha-not-configured');
  });

  it('is never a new one for a server that has a peer', async () => {
    await expect(opened('away', { isPaired: true })).rejects.toThrow('the node store does not say what was decided');
    await expect(opened(null, { isPaired: true })).rejects.toThrow('peer.json on this server to begin unpaired');
  });
});
