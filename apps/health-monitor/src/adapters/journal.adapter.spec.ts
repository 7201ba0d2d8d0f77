import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { newRecord } from '@understudy/ha-core';
import { Journal } from './journal.adapter.ts';

describe('the decision journal', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'journal-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const record = (epoch: number) => ({ ...newRecord('primary', 'run'), epoch });
  const written = async (...epochs: number[]) => {
    const journal = await Journal.open(directory);
    for (const epoch of epochs) await journal.write(record(epoch));
    await journal.close();
  };
  const recovered = async () => {
    const journal = await Journal.open(directory);
    await journal.close();
    return journal.recovered?.epoch ?? null;
  };

  it('is empty at first, and keeps the last record', async () => {
    expect(await recovered()).toBeNull();
    await written(1, 2, 3);
    expect(await recovered()).toBe(3);
    await written(4);
    expect(await recovered()).toBe(4);
  });

  it('never grows: what it needs is allocated at the first opening', async () => {
    await written();
    const before = statSync(join(directory, 'decisions')).size;
    await written(...Array.from({ length: 50 }, (_, index) => index));
    expect(statSync(join(directory, 'decisions')).size).toBe(before);
  });

  it('falls back to the record before when the last write was torn at any byte', async () => {
    await written(1, 2);
    const file = join(directory, 'decisions');
    const whole = readFileSync(file);
    await written(3);
    const after = readFileSync(file);
    const changed = [...after.keys()].filter((index) => after[index] !== whole[index]);
    for (const position of changed) {
      const torn = Buffer.from(after);
      whole.copy(torn, position, position, (changed.at(-1) ?? 0) + 1);
      writeFileSync(file, torn);
      expect(await recovered()).toBe(2);
    }
  });

  it('refuses a record that does not fit instead of writing half of it', async () => {
    const journal = await Journal.open(directory);
    await journal.write(record(1));
    await expect(journal.write({ ...record(2), reason: 'x'.repeat(9000) })).rejects.toThrow('more than a slot');
    await journal.close();
    expect(await recovered()).toBe(1);
  });
});
