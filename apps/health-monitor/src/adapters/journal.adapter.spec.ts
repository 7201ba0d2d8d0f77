import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
    const journal = await Journal.open(directory, 'this server');
    for (const epoch of epochs) await journal.write(record(epoch));
    await journal.close();
  };
  const recovered = async () => {
    const journal = await Journal.open(directory, 'this server');
    await journal.close();
    return journal.recovered.kept?.record.epoch ?? null;
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

  it('says of each damage what can still be read', async () => {
    const file = join(directory, 'decisions');
    const opened = async (server = 'this server') => {
      const journal = await Journal.open(directory, server);
      await journal.close();
      return journal.recovered;
    };
    expect(await opened()).toEqual({ kept: null, sequence: 0, isDamaged: false });
    await written(1, 2, 3);
    const whole = readFileSync(file);
    expect(await opened()).toMatchObject({ sequence: 3, isDamaged: false, kept: { isOwn: true } });
    expect(await opened('another server')).toMatchObject({ kept: { isOwn: false } });
    const damaged = Buffer.from(whole).fill(7, 8192 + 100, 8192 + 110); // slot 1 has record 3
    writeFileSync(file, damaged);
    expect(await opened()).toMatchObject({ sequence: 2, isDamaged: true });
    writeFileSync(file, whole.subarray(0, 8192));
    expect(await opened()).toMatchObject({ sequence: 2, isDamaged: true });
    writeFileSync(file, Buffer.alloc(16384, 'x'));
    expect(await opened()).toEqual({ kept: null, sequence: 0, isDamaged: true });
    rmSync(file);
    mkdirSync(file); // cannot be read as a file
    expect(await opened()).toEqual({ kept: null, sequence: 0, isDamaged: true });
    expect(readdirSync(directory).toSorted()).toEqual(['decisions', 'decisions.unreadable']);
  });

  it.each<[string, (file: string) => void]>([
    ['removed', (file) => rmSync(file)],
    [
      'replaced',
      (file) => {
        rmSync(file);
        writeFileSync(file, Buffer.alloc(16384));
      },
    ],
    ['cut short', (file) => writeFileSync(file, '')],
    ['removed with its directory', (file) => rmSync(dirname(file), { recursive: true })],
  ])('is found by the next start when its file was %s while it was in use', async (_, damage) => {
    const journal = await Journal.open(directory, 'this server');
    await journal.write(record(1));
    damage(join(directory, 'decisions'));
    expect(await journal.isInPlace()).toBe(false);
    await journal.write(record(2));
    expect(await journal.isInPlace()).toBe(true);
    await journal.close();
    expect(await recovered()).toBe(2);
  });

  it('refuses a record that does not fit instead of writing half of it', async () => {
    const journal = await Journal.open(directory, 'this server');
    await journal.write(record(1));
    await expect(journal.write({ ...record(2), reason: 'x'.repeat(9000) })).rejects.toThrow('more than a slot');
    await journal.close();
    expect(await recovered()).toBe(1);
  });
});
