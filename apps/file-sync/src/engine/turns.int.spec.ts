import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { STAGING } from '../domain/entry.ts';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { PairOfEngines, until } from '../testing/pair-of-engines.ts';
import { treeOf } from '../testing/trees.ts';

let pair: PairOfEngines;

afterEach(() => pair.close());

const same = () => JSON.stringify(treeOf(pair.alpha.files)) === JSON.stringify(treeOf(pair.beta.files));
const setOf = (side: 'alpha' | 'beta') => pair[side].engine.status().fileSets[0];

/** System calls that tell before what stands at a path with this end is looked at. */
function callsThatTell(end: string, tell: () => void): FileCalls {
  const lstatSync = ((path: unknown, options: never) => {
    if (String(path).endsWith(end)) tell();
    return FILE_CALLS.lstatSync(path as string, options);
  }) as FileCalls['lstatSync'];
  return { ...FILE_CALLS, lstatSync };
}

describe('a run that the epoch ends', () => {
  it('before it has changed anything is made up for by the next one', async () => {
    let onJournal: (() => void) | null = null;
    const calls = callsThatTell('/journal', () => {
      onJournal?.();
      onJournal = null;
    });
    pair = await PairOfEngines.open({ class: 'batch' }, { calls });
    const { alpha, beta } = pair;
    pair.direct('alpha', 1);
    writeFileSync(join(alpha.files, 'a'), 'one');
    await beta.engine.fetch('set');
    expect(same()).toBe(true);
    writeFileSync(join(alpha.files, 'a'), 'two');
    // the health monitors have a later epoch, and the same roles, when everything is known and nothing is done yet
    onJournal = () => pair.direct('alpha', 2);
    await beta.engine.fetch('set');
    expect([onJournal, readFileSync(join(beta.files, 'a'), 'utf8')]).toEqual([null, 'one']);
    await beta.engine.fetch('set');
    expect(readFileSync(join(beta.files, 'a'), 'utf8')).toBe('two');
  });
});

describe('a run in which this server is active for a moment', () => {
  it('leaves nothing behind that the next one takes for what the other server has', async () => {
    let onLook: (() => void) | null = null;
    const calls = callsThatTell('/by-hand', () => {
      onLook?.();
      onLook = null;
    });
    pair = await PairOfEngines.open({ class: 'batch' }, { calls });
    const { alpha, beta } = pair;
    mkdirSync(join(alpha.files, 'd'));
    writeFileSync(join(alpha.files, 'd/a'), 'one');
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    expect(same()).toBe(true);
    const { ino } = statSync(join(beta.files, 'd/a'));
    writeFileSync(join(beta.files, 'by-hand'), '');
    onLook = () => {
      pair.direct('beta', 2);
      pair.direct('alpha', 3);
    };
    // all is asked for again
    pair.direct(null, 1);
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    expect(onLook).toBeNull();
    writeFileSync(join(alpha.files, 'd/b'), 'two');
    await beta.engine.fetch('set');
    expect([same(), setOf('beta')?.errors, statSync(join(beta.files, 'd/a')).ino]).toEqual([true, [], ino]);
  });
});

describe('an active server', () => {
  it('says that its set cannot be read, for as long as its disk is missing', async () => {
    pair = await PairOfEngines.open({ class: 'batch' });
    const { alpha, beta } = pair;
    const away = `${alpha.files}-away`;
    renameSync(alpha.files, away);
    pair.direct('alpha');
    await until('it says so', () => setOf('alpha')?.reason.includes('cannot be read') ?? false);
    renameSync(away, alpha.files);
    writeFileSync(join(alpha.files, 'a'), 'one');
    await beta.engine.fetch('set');
    expect([same(), setOf('alpha')?.reason]).toEqual([true, '']);
    renameSync(alpha.files, away);
    await beta.engine.fetch('set');
    expect(setOf('alpha')?.reason).toContain('cannot be read');
  });
});

describe('a standby', () => {
  it('writes nothing into a directory that was moved out of its set', async () => {
    pair = await PairOfEngines.open();
    const { alpha, beta } = pair;
    mkdirSync(join(alpha.files, 'd'));
    writeFileSync(join(alpha.files, 'd/a'), 'one');
    pair.direct('alpha');
    await until('it is there', same);
    await delay(100);
    // what is announced is fetched without a look at everything
    writeFileSync(join(alpha.files, 'd/a'), 'two');
    await until('it is there again', same);
    const outside = `${beta.files}-moved`;
    renameSync(join(beta.files, 'd'), outside);
    mkdirSync(join(beta.files, 'd'));
    writeFileSync(join(alpha.files, 'd/a'), 'three');
    await until('it is in its place', () => same());
    expect(readFileSync(join(outside, 'a'), 'utf8')).toBe('two');
  });
});

describe('a file that is removed on the standby as soon as it is there', () => {
  it('is brought again', async () => {
    let onPlaced: (() => void) | null = null;
    const calls: FileCalls = {
      ...FILE_CALLS,
      renameSync: (from, to) => {
        FILE_CALLS.renameSync(from, to);
        if (String(to).endsWith('/a')) onPlaced?.();
      },
    };
    pair = await PairOfEngines.open({ class: 'batch' }, { calls });
    const { alpha, beta } = pair;
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    writeFileSync(join(alpha.files, 'a'), 'one');
    onPlaced = () => rmSync(join(beta.files, 'a'));
    await beta.engine.fetch('set');
    onPlaced = null;
    await beta.engine.fetch('set');
    await beta.engine.fetch('set');
    expect([same(), setOf('beta')?.errors]).toEqual([true, []]);
  });
});

describe('a switch', () => {
  it('hands over the last changes also when the first word of them is lost', async () => {
    pair = await PairOfEngines.open({ class: 'batch' });
    const { alpha, beta } = pair;
    pair.direct('alpha', 1);
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    // and no run follows by itself
    await beta.engine.fetch('set');
    const heard = beta.engine.peerChanged.bind(beta.engine);
    let words = 0;
    beta.engine.peerChanged = (name) => {
      words += 1;
      if (words > 1) heard(name);
    };
    writeFileSync(join(alpha.files, 'last'), 'written just before');
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    expect(same()).toBe(true);
    expect(words).toBeGreaterThan(1);
  });
});

describe('a standby that has lost what it had', () => {
  it('is not taken for one that has it at a switch', async () => {
    pair = await PairOfEngines.open({ class: 'batch' });
    const { alpha, beta } = pair;
    for (let count = 0; count < 20; count++) writeFileSync(join(alpha.files, `${count}`), `${count}`);
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    renameSync(beta.files, `${beta.files}-away`);
    mkdirSync(beta.files);
    await beta.engine.fetch('set');
    expect(setOf('beta')?.awaitingDeletion).toEqual({ deletions: 20, files: 20 });
    expect(await alpha.engine.handOver(1, 100)).toEqual(['set: the peer has not got the last changes']);
  });
});

describe('a set that the peer does not have', () => {
  it('is not waited for at a switch, and is told of', async () => {
    pair = await PairOfEngines.open();
    pair.directOne(pair.alpha, { way: 'sends', epoch: 1, reason: '' });
    expect(await pair.alpha.engine.handOver(1, 60_000, ['set'])).toEqual([
      'set: the peer has no file set of this name',
    ]);
  });
});

describe('a former active server', () => {
  it('keeps aside what it had gone back to, and its peer never got', async () => {
    pair = await PairOfEngines.open();
    const { alpha, beta } = pair;
    writeFileSync(join(alpha.files, 'a'), 'one');
    pair.direct('alpha', 1);
    await until('it is there', same);
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    for (const [epoch, active] of (['beta', 'alpha'] as const).entries()) {
      pair.direct(active, epoch + 2);
      expect(await pair[active].engine.handOver(epoch + 2, 5000)).toEqual([]);
    }
    writeFileSync(join(alpha.files, 'a'), 'two');
    expect(await alpha.engine.handOver(3, 5000)).toEqual([]);
    expect(same()).toBe(true);
    // the link is cut, and beta takes over
    pair.directOne(beta, { way: 'sends', epoch: 4, reason: '' });
    writeFileSync(join(alpha.files, 'a'), 'one');
    await alpha.engine.handOver(3, 10);
    pair.direct('beta', 4);
    await until('alpha follows', same);
    await until('it is said', () => alpha.incidents.length > 0);
    expect(alpha.incidents.map(({ code }) => code)).toEqual(['file-set-aside']);
  });
});

describe('a service whose process has ended in a run', () => {
  it('tells what that had kept aside, once, when there is somebody to tell', async () => {
    pair = await PairOfEngines.open();
    const { beta } = pair;
    const folder = join(beta.setAside, 'set', 'then');
    mkdirSync(join(folder, 'd'), { recursive: true });
    writeFileSync(join(folder, 'd/a'), 'by hand');
    symlinkSync(folder, join(beta.setAside, 'set/untold'));
    // once more, before the health monitor has been heard of
    await pair.restart(beta);
    await pair.restart(beta);
    expect(beta.incidents).toEqual([]);
    pair.direct(null);
    await pair.restart(beta);
    const message = `set: "d/a" here were not those of the active server and were replaced; they are kept in ${folder}`;
    expect(beta.incidents).toEqual([{ severity: 'warning', code: 'file-set-aside', message }]);
  });

  it.each(['readlinkSync', 'unlinkSync'] as const)('finishes its step also when %s of the note fails', async (name) => {
    const call = (path: string, ...rest: unknown[]) => {
      if (String(path).endsWith('untold')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return (FILE_CALLS[name] as (...args: unknown[]) => unknown)(path, ...rest);
    };
    pair = await PairOfEngines.open({ atomic: true }, { calls: { ...FILE_CALLS, [name]: call } });
    const { beta } = pair;
    const before = [['a', createHash('sha256').update('old').digest('base64url')]];
    const step = { directories: [], staged: [], removals: ['a'], metadata: [], before };
    writeFileSync(join(beta.files, 'a'), 'old');
    mkdirSync(join(beta.files, STAGING));
    writeFileSync(join(beta.files, STAGING, 'journal'), JSON.stringify(step));
    await pair.restart(beta);
    pair.direct(null);
    expect(beta.incidents.map(({ code }) => code)).toEqual(['file-set-aside']);
    expect(treeOf(beta.files)).toEqual({});
  });
});

describe('a standby whose peer is frozen', () => {
  it('takes over its sets at once', async () => {
    pair = await PairOfEngines.open();
    const { alpha, beta } = pair;
    await alpha.engine.close();
    const { certificatePem: cert, privateKeyPem: key } = alpha.identity;
    let isAsked = false;
    const frozen = createServer({ cert, key }, () => {
      isAsked = true;
    });
    await new Promise<void>((resolve) => frozen.listen(alpha.port, '127.0.0.1', resolve));
    try {
      pair.direct('alpha', 1);
      await until('it has asked', () => isAsked);
      writeFileSync(join(beta.files, 'a'), 'of beta');
      pair.direct('beta', 2);
      await until('it knows its files', () => setOf('beta')?.files === 1);
    } finally {
      frozen.closeAllConnections();
      frozen.close();
    }
  });
});

describe('the active server', () => {
  it('tells of a directory that was exchanged for another one, and follows the new one', async () => {
    pair = await PairOfEngines.open();
    const { alpha, beta } = pair;
    for (const name of ['d', 'new']) {
      mkdirSync(join(alpha.files, name));
      writeFileSync(join(alpha.files, name, 'a'), `of ${name}`);
    }
    pair.direct('alpha');
    await until('both are there', same);
    await delay(100);
    // a look at one path opens the directory
    writeFileSync(join(alpha.files, 'd/b'), '');
    await until('the file is there', same);
    const begunAtMs = performance.now();
    renameSync(join(alpha.files, 'd'), join(alpha.files, 'old'));
    renameSync(join(alpha.files, 'new'), join(alpha.files, 'd'));
    await until('they are exchanged', same);
    writeFileSync(join(alpha.files, 'd/c'), 'later');
    await until('the new one is followed', same);
    expect(performance.now() - begunAtMs).toBeLessThan(5000);
    expect(readFileSync(join(beta.files, 'd/a'), 'utf8')).toBe('of new');
  });

  it('follows another root in the place of the former one, although there is nothing in both', async () => {
    pair = await PairOfEngines.open();
    const { alpha, beta } = pair;
    pair.direct('alpha');
    for (let count = 0; count < 2; count++) await beta.engine.fetch('set');
    renameSync(alpha.files, `${alpha.files}-away`);
    mkdirSync(alpha.files);
    for (let count = 0; count < 2; count++) await beta.engine.fetch('set');
    const begunAtMs = performance.now();
    writeFileSync(join(alpha.files, 'a'), 'one');
    await until('it is there', same);
    expect(performance.now() - begunAtMs).toBeLessThan(5000);
  });

  it('follows a directory that was removed and made again, even when it has the same number', async () => {
    pair = await PairOfEngines.open();
    const { alpha } = pair;
    mkdirSync(join(alpha.files, 'd'));
    pair.direct('alpha');
    await until('it is there', same);
    await delay(100);
    const { ino } = statSync(join(alpha.files, 'd'));
    let isSameNumber = false;
    for (let count = 0; count < 20 && !isSameNumber; count++) {
      rmSync(join(alpha.files, 'd'), { recursive: true });
      mkdirSync(join(alpha.files, 'd'));
      isSameNumber = statSync(join(alpha.files, 'd')).ino === ino;
    }
    await delay(200);
    const begunAtMs = performance.now();
    writeFileSync(join(alpha.files, 'd/a'), 'later');
    await until('the new one is followed', same);
    expect(performance.now() - begunAtMs).toBeLessThan(5000);
  });
});

describe('an active server that was a standby for a moment', () => {
  it('does not take an earlier word of the peer for one of what that has now', async () => {
    pair = await PairOfEngines.open({ class: 'batch' });
    const { alpha, beta } = pair;
    writeFileSync(join(alpha.files, 'a'), 'one');
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    // beta takes over, and alpha cannot be reached
    await beta.engine.setPeer(null);
    pair.direct('beta', 2);
    writeFileSync(join(beta.files, 'a'), 'two');
    await alpha.engine.fetch('set');
    pair.direct('alpha', 3);
    await alpha.engine.fetch('set');
    expect(await alpha.engine.handOver(3, 100)).toEqual(['set: the peer has not got the last changes']);
  });

  it('keeps its files when it has lost its disk, until somebody confirms', async () => {
    pair = await PairOfEngines.open({ class: 'batch' });
    const { alpha, beta } = pair;
    for (let count = 0; count < 20; count++) writeFileSync(join(alpha.files, `${count}`), `${count}`);
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    // what both have is kept now
    await pair.restart(alpha);
    await beta.engine.fetch('set');
    renameSync(alpha.files, `${alpha.files}-away`);
    mkdirSync(alpha.files);
    await beta.engine.fetch('set');
    expect(setOf('beta')?.awaitingDeletion).toEqual({ deletions: 20, files: 20 });
    pair.direct('beta', 2);
    await alpha.engine.fetch('set');
    expect([setOf('alpha')?.awaitingDeletion, treeOf(alpha.files)]).toEqual([{ deletions: 20, files: 20 }, {}]);
  });
});

describe('a server of which the other one is replaced', () => {
  it('does not take for known to the new one what the former one had', async () => {
    pair = await PairOfEngines.open({ class: 'batch' });
    const { alpha, beta } = pair;
    for (const name of ['a', 'b', 'c']) writeFileSync(join(alpha.files, name), name);
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    expect(await alpha.engine.handOver(1, 5000)).toEqual([]);
    // which does not fetch yet
    pair.directOne(beta, { way: 'unknown', epoch: 1, reason: '' });
    await pair.replace(beta);
    expect(await alpha.engine.handOver(1, 100)).toEqual(['set: the peer has not got the last changes']);
    pair.direct('beta', 2);
    await alpha.engine.fetch('set');
    expect(treeOf(alpha.files)).toEqual({});
    expect(alpha.incidents.map(({ code }) => code)).toEqual(['file-set-aside']);
  });
});

describe('an active server that is asked in the middle of a look', () => {
  /** Done at each piece that is read of a large file; each takes longer than one turn. */
  let onRead: (() => void) | null = null;
  let fdOfLarge = -1;
  const calls: FileCalls = {
    ...FILE_CALLS,
    // the large one last but one
    readdirSync: ((...args: never[]) =>
      (FILE_CALLS.readdirSync as (...args: unknown[]) => string[])(...args).sort()) as FileCalls['readdirSync'],
    openSync: (path, ...rest) => {
      const fd = FILE_CALLS.openSync(path, ...rest);
      if (String(path).endsWith('/large')) fdOfLarge = fd;
      return fd;
    },
    readSync: ((fd: number, ...rest: never[]) => {
      if (fd === fdOfLarge && onRead !== null) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 12);
        onRead();
      }
      return (FILE_CALLS.readSync as (...args: unknown[]) => number)(fd, ...rest);
    }) as FileCalls['readSync'],
  };
  const write = (text: string) => {
    writeFileSync(join(pair.alpha.files, 'key'), text);
    writeFileSync(join(pair.alpha.files, 'large'), Buffer.alloc(10 * 1024 * 1024, text));
  };

  afterEach(() => {
    onRead = null;
  });

  it('tells nothing of an atomic set before it has seen all of it', async () => {
    pair = await PairOfEngines.open({ atomic: true, class: 'batch' }, { calls });
    const { alpha, beta } = pair;
    write('1');
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    await until('it is there', same);
    // what changes first beta has not heard of yet
    const heard = beta.engine.peerChanged.bind(beta.engine);
    beta.engine.peerChanged = () => undefined;
    writeFileSync(join(alpha.files, 'other'), '');
    expect(await alpha.engine.handOver(1, 0)).toHaveLength(1);
    beta.engine.peerChanged = heard;
    const seen = new Set<string>();
    onRead = () => {
      if (seen.size === 0) heard('set');
      const isLargeOld = readFileSync(join(beta.files, 'large')).at(-1) === '1'.charCodeAt(0);
      seen.add(`${readFileSync(join(beta.files, 'key'), 'utf8')} ${isLargeOld}`);
    };
    write('2');
    expect(await alpha.engine.handOver(1, 30_000)).toEqual([]);
    expect([seen.has('2 true'), same()]).toEqual([false, true]);
  });

  it('tells nothing of what it knew when its service ended for all that there is', async () => {
    pair = await PairOfEngines.open({ class: 'batch' }, { calls });
    const { alpha, beta } = pair;
    write('1');
    writeFileSync(join(alpha.files, 'new'), '');
    pair.direct('alpha', 1);
    await beta.engine.fetch('set');
    // and nothing more is to come
    await delay(300);
    const { ino } = statSync(join(beta.files, 'new'));
    // of which it has kept nothing yet
    rmSync(alpha.stateFile, { force: true });
    let reads = 0;
    onRead = () => {
      reads += 1;
      // the word of a change comes late, when the connections of before are closed
      if (reads === 5) beta.engine.peerChanged('set');
    };
    await pair.restart(alpha, { isKilled: true });
    await until('alpha has looked', () => setOf('alpha')?.files === 3);
    onRead = null;
    await beta.engine.fetch('set');
    expect([reads > 5, statSync(join(beta.files, 'new')).ino, same()]).toEqual([true, ino, true]);
  });
});
