import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { FileEntry } from '../domain/entry.ts';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { TwoTrees, treeOf } from '../testing/trees.ts';
import { DirectionLost } from './applier.ts';
import { Aside } from './aside.ts';
import type { OpenContent } from './fetcher.ts';
import type { RunParts } from './sync-run.ts';

let trees: TwoTrees;
let file: (name: string) => string;
let copy: (name: string) => string;

beforeEach(() => {
  trees = new TwoTrees();
  file = (name) => join(trees.active, name);
  copy = (name) => join(trees.standby, name);
});

afterEach(() => trees.remove());

/** Everything that was kept aside, by path. */
function kept(): Record<string, string> {
  const folder = join(trees.aside, 'set');
  if (!existsSync(folder)) return {};
  return Object.assign({}, ...readdirSync(folder).map((run) => treeOf(join(folder, run))));
}

describe('a run', () => {
  it('lets others have a turn before each change, on a slow disk above all', async () => {
    for (const name of ['a', 'b', 'c', 'd/a', 'd/b']) {
      mkdirSync(join(file(name), '..'), { recursive: true });
      writeFileSync(file(name), `${name} of the active`);
      if (!name.includes('/')) writeFileSync(copy(name), `${name} by hand`);
    }
    symlinkSync('a', file('link'));
    let turns = 0;
    const changedIn: number[] = [];
    const calls = new Proxy(FILE_CALLS, {
      get: (real, name) => {
        if (name === 'renameSync') changedIn.push(turns);
        return real[name as keyof FileCalls];
      },
    });
    trees.restartSink(calls);
    const pause = async () => {
      turns += 1;
    };
    await trees.run({ pause, entriesAtOnce: 100 });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
    expect(changedIn).toHaveLength(6);
    expect(new Set(changedIn).size).toBe(6);
  });

  it('makes the standby’s tree the active server’s, with modes, times and links', async () => {
    mkdirSync(file('deep/er'), { recursive: true });
    mkdirSync(file('empty'), { mode: 0o750 });
    writeFileSync(file('deep/er/one'), 'one', { mode: 0o640 });
    writeFileSync(file('none'), '');
    writeFileSync(file('script'), '#!/bin/sh', { mode: 0o755 });
    utimesSync(file('script'), 1_700_000_000.123456, 1_700_000_000.123456);
    symlinkSync('deep/er/one', file('link'));
    symlinkSync('/etc/passwd', file('outside'));
    symlinkSync('missing', file('dangling'));
    const result = await trees.run();
    expect(result).toMatchObject({ problems: [], awaiting: null, kept: null });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
    expect(Math.abs(statSync(copy('script')).mtimeMs - 1_700_000_000_123.456)).toBeLessThan(0.003);
    expect((await trees.run()).changed).toBe(0);
  });

  it('takes names as bytes: line breaks, no UTF-8, 255 bytes', async () => {
    const names = ['line\nbreak', '\u00ff\u00fe', ' ', '-rf', 'a'.repeat(255), 'quo\'te"', '*?[x]'];
    for (const name of names) writeFileSync(Buffer.from(join(trees.active, name), 'latin1'), name);
    expect((await trees.run()).problems).toEqual([]);
    expect(Object.keys(treeOf(trees.standby)).sort()).toEqual([...names].sort());
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('follows changes, deletions, and changes of kind', async () => {
    mkdirSync(file('directory'));
    writeFileSync(file('directory/in'), 'in');
    writeFileSync(file('plain'), 'plain');
    symlinkSync('plain', file('link'));
    await trees.run();
    rmSync(file('directory'), { recursive: true });
    writeFileSync(file('directory'), 'now a file');
    rmSync(file('plain'));
    mkdirSync(file('plain'));
    writeFileSync(file('plain/in'), 'now in a directory');
    rmSync(file('link'));
    mkdirSync(file('link'));
    const result = await trees.run();
    expect(result).toMatchObject({ problems: [], kept: null });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('lets nothing go in a beginning, not even where a file takes the place of a directory', async () => {
    mkdirSync(file('directory'));
    for (let count = 0; count < 20; count++) writeFileSync(file(`directory/${count}`), `${count}`);
    await trees.run({ isBeginning: true });
    rmSync(file('directory'), { recursive: true });
    writeFileSync(file('directory'), 'now a file');
    writeFileSync(file('more'), 'more');
    await trees.run({ isBeginning: true });
    expect(readdirSync(copy('directory'))).toHaveLength(20);
    expect(existsSync(copy('more'))).toBe(true);
    expect((await trees.run()).awaiting).toEqual({ deletions: 20, files: 21 });
    await trees.run({ confirmedDeletions: 20 });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('does not send a renamed file again, and keeps its inode', async () => {
    writeFileSync(file('before'), 'x'.repeat(100_000));
    await trees.run();
    const { ino } = statSync(copy('before'));
    renameSync(file('before'), file('after'));
    const result = await trees.run();
    expect(result).toMatchObject({ receivedBytes: 0, problems: [], kept: null });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
    expect(statSync(copy('after')).ino).toBe(ino);
  });

  it('sends equal content once', async () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(file(name), 'the same');
    expect((await trees.run()).receivedBytes).toBe(8);
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('sends nothing of a file whose mode or time has changed', async () => {
    writeFileSync(file('a'), 'a');
    await trees.run();
    chmodSync(file('a'), 0o600);
    utimesSync(file('a'), 1000, 1000);
    expect(await trees.run()).toMatchObject({ receivedBytes: 0, changed: 1 });
    expect([statSync(copy('a')).mode & 0o777, statSync(copy('a')).mtimeMs]).toEqual([0o600, 1_000_000]);
  });

  it('leaves sockets out and says so, and one bad file does not stop the rest', async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(file('socket'), resolve));
    writeFileSync(file('good'), 'good');
    writeFileSync(file('bad'), 'bad');
    const content = trees.content();
    const result = await trees
      .run({
        openContent: async function* (wants) {
          let current = '';
          for await (const frame of content(wants)) {
            if (frame.kind === 'begin') current = wants[frame.index]?.path ?? '';
            yield frame.kind === 'data' && current === 'bad' ? { kind: 'data', bytes: Buffer.from('bat') } : frame;
          }
        },
      })
      .finally(() => server.close());
    expect(result.problems).toMatchObject([{ path: 'bad' }]);
    expect(Object.keys(treeOf(trees.standby))).toEqual(['good']);
  });

  it('takes up where a broken connection left off', async () => {
    writeFileSync(file('large'), Buffer.alloc(50_000, 7));
    const content = trees.content();
    const broken = trees.run({
      openContent: async function* (wants) {
        let count = 0;
        for await (const frame of content(wants)) {
          yield frame;
          if (++count === 21) throw new Error('the cable');
        }
      },
    });
    await expect(broken).rejects.toThrow('the cable');
    expect(treeOf(trees.standby)).toEqual({});
    const result = await trees.run();
    expect(result.receivedBytes).toBe(30_000);
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('says meanwhile how much of a large file is still to come', async () => {
    writeFileSync(file('large'), randomBytes(4_000_000));
    const pending: number[] = [];
    await trees.run({ onPending: (_, bytes) => pending.push(bytes) });
    expect([pending[0], pending.at(-1)]).toEqual([4_000_000, 0]);
    expect(pending.length).toBeGreaterThan(4);
    expect(pending.toSorted((a, b) => b - a)).toEqual(pending);
  });

  it('receives only what has changed of a large file, wherever bytes were put in or taken away', async () => {
    const old = randomBytes(3_000_000);
    writeFileSync(file('large'), old);
    await trees.run();
    for (const version of [
      Buffer.concat([old.subarray(0, 1_000_000), Buffer.from('put in'), old.subarray(1_000_000)]),
      Buffer.concat([old.subarray(0, 500_000), old.subarray(500_007), Buffer.from('at the end')]),
      old.subarray(100),
    ]) {
      writeFileSync(file('large'), version);
      const { receivedBytes, problems, kept } = await trees.run();
      expect([problems, kept]).toEqual([[], null]);
      expect(receivedBytes).toBeLessThan(150_000);
      expect(readFileSync(copy('large')).equals(version)).toBe(true);
    }
  });

  it('takes up a large file that was changed in part where a broken connection left off', async () => {
    const bytes = randomBytes(4_000_000);
    writeFileSync(file('large'), bytes);
    await trees.run();
    for (const at of [1_000_000, 3_000_000]) bytes.write('another', at);
    writeFileSync(file('large'), bytes);
    const content = trees.content();
    let isBroken = true;
    let whole = 0;
    const openContent: OpenContent = async function* (wants) {
      if (wants[0]?.length === undefined) whole += 1;
      for await (const frame of content(wants)) {
        if (isBroken && frame.kind === 'begin' && frame.index === 1) throw new Error('the cable');
        yield frame;
      }
    };
    await expect(trees.run({ openContent })).rejects.toThrow('the cable');
    isBroken = false;
    const { receivedBytes } = await trees.run({ openContent });
    expect(readFileSync(copy('large')).equals(bytes)).toBe(true);
    expect([receivedBytes < 50_000, whole]).toEqual([true, 0]);
  });

  it('takes a large file as a whole when its chunks are not told, or are not what is sent', async () => {
    const bytes = randomBytes(2_000_000);
    for (const askChunks of [
      async () => null,
      async () => {
        throw Object.assign(new Error('refused'), { code: 'ECONNRESET' });
      },
      // a peer that lies: the first chunk of the old version would be the whole new one
      async ({ size }: FileEntry, average: number) => {
        const [first] = await trees.chunks('large', average);
        return first === undefined ? null : Array.from({ length: 30 }, () => ({ ...first, length: size / 30 }));
      },
      async (_: FileEntry, average: number) => (await trees.chunks('large', average)).toReversed(),
    ] satisfies RunParts['askChunks'][]) {
      bytes.write(String(Math.random()), 1_000_000);
      writeFileSync(file('large'), bytes);
      expect((await trees.run({ askChunks })).problems).toEqual([]);
      expect(readFileSync(copy('large')).equals(bytes)).toBe(true);
    }
  });

  it('changes nothing any more once the direction is lost', async () => {
    for (const name of ['a', 'b']) writeFileSync(file(name), name);
    let changes = 0;
    const run = trees.run({
      mayChange: () => {
        changes += 1;
        if (changes > 3) throw new DirectionLost();
      },
    });
    await expect(run).rejects.toThrow(DirectionLost);
    expect(Object.keys(treeOf(trees.standby)).length).toBeLessThan(2);
  });

  it('that ends by it knows the files that have their names as the active server’s', async () => {
    const names = ['a', 'b', 'c'];
    const write = (text: string) => names.map((name) => writeFileSync(file(name), text));
    write('one');
    await trees.run();
    write('two');
    let renames = 0;
    const renameSync: FileCalls['renameSync'] = (...paths) => {
      renames += 1;
      FILE_CALLS.renameSync(...paths);
    };
    trees.restartSink({ ...FILE_CALLS, renameSync }, { keeps: true });
    const mayChange = () => {
      if (renames === 2) throw new DirectionLost();
    };
    await expect(trees.run({ mayChange })).rejects.toThrow(DirectionLost);
    write('three');
    expect((await trees.run()).kept).toBeNull();
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it.each(['replaced', 'removed'])('leaves a file that is %s when it is lost while that is read', async (what) => {
    writeFileSync(file('a'), 'of the active');
    await trees.run();
    if (what === 'removed') rmSync(file('a'));
    else writeFileSync(file('a'), 'new');
    let isLost = false;
    const openSync: FileCalls['openSync'] = (path, ...rest) => {
      isLost ||= isByHand && String(path).endsWith('/a');
      return FILE_CALLS.openSync(path, ...rest);
    };
    let isByHand = false;
    const byHand = () => {
      isByHand = true;
      writeFileSync(copy('a'), 'by hand');
    };
    trees.restartSink({ ...FILE_CALLS, openSync }, { keeps: true });
    const mayChange = () => {
      if (isLost) throw new DirectionLost();
    };
    await expect(trees.run({ mayChange, onDiffering: byHand })).rejects.toThrow(DirectionLost);
    expect([readFileSync(copy('a'), 'utf8'), kept()]).toEqual(['by hand', {}]);
  });

  it('begins no atomic step when the direction is lost while that is made durable', async () => {
    const atomic = new TwoTrees({ atomic: true });
    try {
      // as many as are made durable together
      for (let count = 0; count < 20; count++) writeFileSync(join(atomic.active, `${count}`), `${count}`);
      let isLost = false;
      const sync = async () => {
        isLost = true;
      };
      const mayChange = () => {
        if (isLost) throw new DirectionLost();
      };
      await expect(atomic.run({ sync, mayChange })).rejects.toThrow(DirectionLost);
      expect(treeOf(atomic.standby)).toEqual({});
    } finally {
      atomic.remove();
    }
  });
});

describe('files of the standby that the active server does not know', () => {
  it('are kept before they are replaced or removed', async () => {
    writeFileSync(file('a'), 'of the active');
    await trees.run();
    writeFileSync(copy('a'), 'by hand');
    writeFileSync(copy('extra'), 'by hand too');
    symlinkSync('somewhere', copy('link'));
    const result = await trees.run();
    expect(result.kept?.paths.toSorted()).toEqual(['a', 'extra', 'link']);
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
    expect(kept()).toMatchObject({ a: 'file 644 by hand', extra: 'file 644 by hand too', link: 'link somewhere' });
  });

  it('are kept below a directory that becomes a file', async () => {
    mkdirSync(file('thing'));
    await trees.run();
    writeFileSync(copy('thing/notes'), 'by hand');
    rmSync(file('thing'), { recursive: true });
    writeFileSync(file('thing'), 'a file');
    expect((await trees.run()).kept?.paths).toEqual(['thing/notes']);
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  describe('where the folder for them is on another file system', () => {
    const refused = (code: string) => {
      throw Object.assign(new Error(code), { code });
    };
    const calls: FileCalls = { ...FILE_CALLS, linkSync: () => refused('EXDEV') };

    it('are copied, whatever the length of their names', async () => {
      const name = 'n'.repeat(255);
      writeFileSync(file(name), 'of the active');
      writeFileSync(copy(name), 'by hand');
      trees.restartSink(calls);
      expect((await trees.run()).problems).toEqual([]);
      expect(Object.values(kept())).toContain('file 600 by hand');
    });

    it('stay where they are, and leave no part behind, when it has no room for them', async () => {
      const write = FILE_CALLS.writeSync as (...args: unknown[]) => number;
      const writeSync = (...args: unknown[]) => (Number(args[4]) > 0 ? refused('ENOSPC') : write(...args));
      writeFileSync(file('a'), 'of the active');
      writeFileSync(copy('a'), Buffer.alloc(600_000));
      trees.restartSink({ ...calls, writeSync: writeSync as FileCalls['writeSync'] });
      expect((await trees.run()).problems).toMatchObject([{ path: 'a' }]);
      expect([readFileSync(copy('a')).length, kept()]).toEqual([600_000, {}]);
    });

    describe('and they are large', () => {
      const LARGE = Buffer.alloc(600_000, 'by hand ');
      let turns: number;
      let onTurn: (turn: number) => void;

      const run = (parts: Partial<RunParts> = {}) => {
        const pause = async () => {
          // of the copy alone
          if (unfinished().length > 0) onTurn(++turns);
        };
        return trees.run({ pause, ...parts });
      };
      const unfinished = () => {
        const folder = join(trees.aside, 'set');
        return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.unfinished')) : [];
      };

      beforeEach(() => {
        turns = 0;
        onTurn = () => undefined;
        writeFileSync(file('a'), 'of the active');
        writeFileSync(copy('a'), LARGE);
        trees.restartSink(calls);
      });

      it('others have turns while they are copied', async () => {
        expect((await run()).problems).toEqual([]);
        expect(turns).toBeGreaterThan(2);
        expect([readFileSync(copy('a'), 'utf8'), unfinished()]).toEqual(['of the active', []]);
      });

      it('they stay, and nothing is kept, when the direction is lost while they are copied', async () => {
        const mayChange = () => {
          if (turns > 0) throw new DirectionLost();
        };
        await expect(run({ mayChange })).rejects.toThrow(DirectionLost);
        expect([readFileSync(copy('a')).equals(LARGE), kept(), readdirSync(join(trees.aside, 'set'))]).toEqual([
          true,
          {},
          [],
        ]);
      });

      it('they stay when somebody changes them while they are copied, and the next run keeps what they are then', async () => {
        onTurn = (turn) => {
          if (turn === 2) writeFileSync(copy('a'), 'by hand again');
        };
        expect((await run()).problems).toMatchObject([{ path: 'a', message: expect.stringContaining('was changed') }]);
        expect([readFileSync(copy('a'), 'utf8'), kept()]).toEqual(['by hand again', {}]);
        onTurn = () => undefined;
        expect((await run()).problems).toEqual([]);
        expect(kept()).toMatchObject({ a: 'file 600 by hand again' });
      });

      it('a copy that a process has not finished is gone with the next one', async () => {
        mkdirSync(join(trees.aside, 'set/earlier'), { recursive: true });
        writeFileSync(join(trees.aside, 'set/earlier.1.unfinished'), 'half');
        Aside.discardUnfinished(calls, trees.aside, 'set');
        Aside.discardUnfinished(calls, trees.aside, 'another');
        expect(readdirSync(join(trees.aside, 'set'))).toEqual(['earlier']);
      });
    });
  });

  it('are not kept run after run when the system lets nothing take their places', async () => {
    for (const name of ['a', 'gone', 'd/in']) {
      mkdirSync(join(copy(name), '..'), { recursive: true });
      writeFileSync(copy(name), 'by hand');
    }
    for (const name of ['a', 'd']) writeFileSync(file(name), 'of the active');
    const busy = (path: unknown) => {
      if (/\/(a|gone|in)$/.test(String(path))) throw Object.assign(new Error('EBUSY'), { code: 'EBUSY' });
    };
    const renameSync: FileCalls['renameSync'] = (from, to) => {
      busy(to);
      FILE_CALLS.renameSync(from, to);
    };
    const unlinkSync: FileCalls['unlinkSync'] = (path) => {
      if (!String(path).includes('/aside/')) busy(path);
      FILE_CALLS.unlinkSync(path);
    };
    trees.restartSink({ ...FILE_CALLS, renameSync, unlinkSync });
    const { problems, kept: told } = await trees.run();
    expect(problems.map(({ path }) => path).toSorted()).toEqual(['a', 'd', 'd/in', 'gone']);
    expect([told, kept(), readdirSync(join(trees.aside, 'set'))]).toEqual([null, {}, []]);
    expect(Object.values(treeOf(trees.standby)).filter((text) => text.endsWith('by hand'))).toHaveLength(3);
  });

  it('are not those that both had last, whatever was restarted', async () => {
    writeFileSync(file('a'), 'one');
    await trees.run();
    trees.restartSink(undefined, { keeps: true });
    writeFileSync(file('a'), 'two');
    expect(await trees.run()).toMatchObject({ kept: null });
    expect(kept()).toEqual({});
  });
});

describe('a file of the standby that is changed by hand', () => {
  const byHand = () => writeFileSync(copy('a'), 'bad');

  beforeEach(async () => {
    writeFileSync(file('a'), 'one');
    await trees.run();
  });

  it('between the look at it and a change of its mode is not taken for what it was', async () => {
    chmodSync(file('a'), 0o600);
    expect((await trees.run({ onDiffering: byHand })).problems).toHaveLength(1);
    await trees.run();
    expect([treeOf(trees.standby), kept()]).toEqual([treeOf(trees.active), { a: 'file 644 bad' }]);
  });

  it('between its rename and the end of the run is not taken for what it was', async () => {
    for (let index = 0; index < 20; index++) {
      mkdirSync(file(`d${index}`));
      writeFileSync(file(`d${index}/a`), String(index));
    }
    writeFileSync(file('a'), 'two');
    const isThere = () => readFileSync(copy('a'), 'utf8') === 'two';
    await trees.run({ entriesAtOnce: 100, sync: async () => void (isThere() && byHand()) });
    await trees.run();
    expect([treeOf(trees.standby), kept()]).toEqual([treeOf(trees.active), { a: 'file 644 bad' }]);
  });
});

describe('a set that has lost most of its files', () => {
  const fill = () => {
    for (let index = 0; index < 30; index++) writeFileSync(file(`file-${index}`), String(index));
  };

  it('on the active server is not touched until it is confirmed', async () => {
    fill();
    await trees.run();
    const before = treeOf(trees.standby);
    for (let index = 0; index < 20; index++) rmSync(file(`file-${index}`));
    expect(await trees.run()).toMatchObject({ awaiting: { deletions: 20, files: 30 }, changed: 0 });
    expect(treeOf(trees.standby)).toEqual(before);
    expect(await trees.run({ confirmedDeletions: 19 })).toMatchObject({ awaiting: { deletions: 20 } });
    expect(await trees.run({ confirmedDeletions: 20 })).toMatchObject({ awaiting: null });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('under their old names, and has them under others, is followed', async () => {
    mkdirSync(file('before'));
    for (let index = 0; index < 30; index++) writeFileSync(file(`before/file-${index}`), String(index % 20));
    await trees.run();
    renameSync(file('before'), file('after'));
    expect(await trees.run()).toMatchObject({ awaiting: null, problems: [] });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
    renameSync(file('after'), file('again'));
    for (let index = 0; index < 20; index++) rmSync(file(`again/file-${index}`));
    expect(await trees.run()).toMatchObject({ awaiting: { deletions: 20, files: 30 } });
  });

  it('on the standby is not filled again until it is confirmed', async () => {
    fill();
    await trees.run();
    for (let index = 0; index < 20; index++) rmSync(copy(`file-${index}`));
    expect(await trees.run()).toMatchObject({ awaiting: { deletions: 20, files: 30 } });
    await trees.run({ confirmedDeletions: 20 });
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });
});

describe('nothing outside of the set', () => {
  it('is written through a link that takes the place of a directory', async () => {
    const outside = join(trees.directory, 'outside');
    mkdirSync(outside);
    mkdirSync(file('directory'));
    writeFileSync(file('directory/a'), 'a');
    await trees.run();
    writeFileSync(file('directory/a'), 'b');
    await trees.source.scanAll();
    // as if it were made between the look and the change
    const run = trees.run({
      mayChange: () => {
        if (!lstatSync(copy('directory')).isDirectory()) return;
        renameSync(copy('directory'), copy('moved'));
        symlinkSync(outside, copy('directory'));
      },
    });
    await run;
    expect(readdirSync(outside)).toEqual([]);
    await trees.run();
    expect(readdirSync(outside)).toEqual([]);
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });

  it('is written through a link in the place of the staging directory', async () => {
    const outside = join(trees.directory, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'precious'), 'precious');
    symlinkSync(outside, copy('.understudy'));
    writeFileSync(file('a'), 'a');
    await trees.run();
    expect(readFileSync(join(outside, 'precious'), 'utf8')).toBe('precious');
    expect(readdirSync(outside)).toEqual(['precious']);
    expect(treeOf(trees.standby)).toEqual(treeOf(trees.active));
  });
});

describe('patterns', () => {
  it('leave out on both sides what they do not take', async () => {
    trees.remove();
    trees = new TwoTrees({ include: ['**/*.conf', 'keys/**'], exclude: ['*.tmp', 'cache'] });
    for (const directory of ['sub', 'keys', 'cache', 'other']) mkdirSync(file(directory));
    for (const name of ['a.conf', 'a.txt', 'sub/b.conf', 'keys/k', 'keys/k.tmp', 'cache/c.conf', 'other/x'])
      writeFileSync(file(name), name);
    writeFileSync(copy('own.txt'), 'own');
    await trees.run();
    expect(Object.keys(treeOf(trees.standby)).sort()).toEqual(
      ['a.conf', 'keys', 'keys/k', 'own.txt', 'sub', 'sub/b.conf'].sort(),
    );
    rmSync(file('sub'), { recursive: true });
    writeFileSync(copy('sub/own.txt'), 'own');
    expect((await trees.run()).problems).toEqual([]);
    expect(Object.keys(treeOf(trees.standby))).toContain('sub/own.txt');
  });
});
