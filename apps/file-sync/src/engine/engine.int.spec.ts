import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as secure } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { FileSetConfiguration } from '@understudy/platform';
import { EPOCH_HEADER, PAIR_HEADER } from '../domain/protocol.ts';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { identityOf, PairOfEngines, type Side, until } from '../testing/pair-of-engines.ts';
import { treeOf } from '../testing/trees.ts';

let pair: PairOfEngines;
let alpha: Side;
let beta: Side;

beforeEach(async () => {
  pair = await PairOfEngines.open();
  ({ alpha, beta } = pair);
});

afterEach(() => pair.close());

/** Several times what the longest takes when nothing else runs. */
jest.setTimeout(90_000);

const same = () => JSON.stringify(treeOf(alpha.files)) === JSON.stringify(treeOf(beta.files));

/** The active server has been told that its peer has everything. */
const isConfirmed = () => alpha.engine.status().fileSets[0]?.lastCompleteAt !== null;

describe('a set that takes long to be looked at for the first time', () => {
  const FILES = 400;
  let slow: PairOfEngines;
  /** The look at one file lasts so long. */
  let lookMs: number;

  beforeEach(() => {
    lookMs = 3;
  });
  afterEach(() => slow.close());

  async function begin(
    set: Partial<FileSetConfiguration>,
    prepare: () => void = () => undefined,
  ): Promise<() => number> {
    const lstatSync = ((path: unknown, options: never) => {
      if (String(path).endsWith('.slow')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookMs);
      return FILE_CALLS.lstatSync(path as string, options);
    }) as FileCalls['lstatSync'];
    slow = await PairOfEngines.open(set, { calls: { ...FILE_CALLS, lstatSync }, partMs: 50 });
    mkdirSync(join(slow.alpha.files, 'd'));
    for (let count = 0; count < FILES; count++) writeFileSync(join(slow.alpha.files, `d/${count}.slow`), `${count}`);
    writeFileSync(join(slow.beta.files, 'foreign'), 'of beta');
    prepare();
    slow.direct('alpha');
    return () => slow.alpha.engine.status().fileSets[0]?.files ?? 0;
  }
  /** Longer than a busy disk takes for the first files. */
  async function beginLong(): Promise<() => number> {
    lookMs = 20;
    const found = await begin({});
    await until('the first files are there', () => here('.slow') > 0);
    lookMs = 3;
    return found;
  }
  const here = (name: string) => Object.keys(treeOf(slow.beta.files)).filter((path) => path.endsWith(name)).length;

  it('comes while the look goes on; what is not wanted goes, and the peer is told that it has all, when it has ended', async () => {
    const found = await beginLong();
    expect(found()).toBeLessThan(FILES);
    expect(here('foreign')).toBe(1);
    expect(slow.alpha.engine.status().fileSets[0]?.lastCompleteAt).toBeNull();
    expect(slow.beta.engine.differences('set')?.asOf).toBeNull();
    await until('all are there', () => here('.slow') === FILES && here('foreign') === 0);
    await until('alpha knows it', () => slow.alpha.engine.status().fileSets[0]?.lastCompleteAt !== null);
    expect(treeOf(slow.beta.files)).toEqual(treeOf(slow.alpha.files));
    await until('it is said', () => slow.beta.incidents.length > 0);
    expect(slow.beta.incidents.map(({ code }) => code)).toEqual(['file-set-aside']);
  });

  it('keeps what had to make room in one folder, and says so once', async () => {
    await begin({}, () => {
      mkdirSync(join(slow.beta.files, 'd'));
      for (let count = 0; count < FILES; count++)
        writeFileSync(join(slow.beta.files, `d/${count}.slow`), `${count} of beta`);
    });
    await until('it is said', () => slow.beta.incidents.length > 0);
    const [folder = '', ...others] = readdirSync(join(slow.beta.setAside, 'set'));
    expect(others).toEqual([]);
    expect(readdirSync(join(slow.beta.setAside, 'set', folder, 'd'))).toHaveLength(FILES);
    expect(slow.beta.incidents).toMatchObject([
      { code: 'file-set-aside', message: expect.stringContaining(`and ${FILES + 1 - 5} more`) },
    ]);
    expect(slow.beta.incidents[0]?.message).toContain(folder);
  });

  it('does not go on in a directory that was moved out of it between two parts', async () => {
    await beginLong();
    const [directory, outside] = [join(slow.beta.files, 'd'), `${slow.beta.files}-moved`];
    renameSync(directory, outside);
    mkdirSync(directory);
    await until('alpha is told', () => slow.alpha.engine.status().fileSets[0]?.lastCompleteAt !== null);
    expect(here('.slow')).toBeGreaterThan(0);
    expect(here('.slow') + Object.keys(treeOf(outside)).length).toBe(FILES);
  });

  it('appears all at once when it is atomic', async () => {
    const found = await begin({ atomic: true });
    await until('the look has begun', () => found() > 0);
    await until('the first file is there', () => here('.slow') > 0);
    expect([found(), here('.slow')]).toEqual([FILES, FILES]);
  });
});

describe('two servers', () => {
  it('move nothing while the direction is unknown, and then from the active one to the other, whichever is which', async () => {
    writeFileSync(join(alpha.files, 'a'), 'of alpha');
    pair.direct(null);
    await alpha.engine.fetch('set');
    await beta.engine.fetch('set');
    expect(treeOf(beta.files)).toEqual({});

    pair.direct('alpha', 1);
    await until('alpha knows it', isConfirmed);
    expect(same()).toBe(true);
    pair.direct('beta', 2);
    writeFileSync(join(beta.files, 'a'), 'of beta');
    await until('the file is back', () => readFileSync(join(alpha.files, 'a'), 'utf8') === 'of beta');
    expect([...alpha.incidents, ...beta.incidents]).toEqual([]);
  });

  it('show a change within a second, without waiting for the schedule', async () => {
    pair.direct('alpha');
    writeFileSync(join(alpha.files, 'a'), '0');
    await until('the first is there', same);
    for (let count = 1; count <= 5; count++) {
      const begunAtMs = performance.now();
      writeFileSync(join(alpha.files, 'a'), `${count}`);
      await until('the change is there', () => readFileSync(join(beta.files, 'a'), 'utf8') === `${count}`);
      expect(performance.now() - begunAtMs).toBeLessThan(5000);
    }
  });

  it('keep aside what a former active server had and its peer never got', async () => {
    pair.direct('alpha', 1);
    writeFileSync(join(alpha.files, 'shared'), 'one');
    await until('alpha knows that the file is there', isConfirmed);
    // the link is cut: beta takes over, alpha goes on for a while
    pair.directOne(beta, { way: 'sends', epoch: 2, reason: '' });
    writeFileSync(join(alpha.files, 'shared'), 'unsent');
    writeFileSync(join(alpha.files, 'late'), 'unsent too');
    writeFileSync(join(beta.files, 'shared'), 'two');
    pair.direct('beta', 2);
    await until('alpha follows', same);
    await until('it is said', () => alpha.incidents.length > 0);
    expect(alpha.incidents[0]).toMatchObject({ code: 'file-set-aside' });
    expect(alpha.incidents[0]?.message).toContain('"late"');
  });

  it('do not report as foreign what the new active server has changed since', async () => {
    pair.direct('alpha', 1);
    writeFileSync(join(alpha.files, 'a'), 'one');
    await until('alpha knows it', isConfirmed);
    pair.direct('beta', 2);
    writeFileSync(join(beta.files, 'a'), 'two');
    rmSync(join(beta.files, 'a'));
    writeFileSync(join(beta.files, 'b'), 'two');
    await until('alpha follows', same);
    expect(alpha.incidents).toEqual([]);
  });

  it('stop and ask when most files have gone at once', async () => {
    pair.direct('alpha');
    mkdirSync(join(alpha.files, 'disk'));
    for (let index = 0; index < 30; index++) writeFileSync(join(alpha.files, 'disk', `f${index}`), 'x');
    await until('all are there', same);
    renameSync(join(alpha.files, 'disk'), `${alpha.files}-unmounted`);
    await until('it asks', () => beta.engine.status().fileSets[0]?.awaitingDeletion !== null);
    expect(Object.keys(treeOf(beta.files))).toHaveLength(31);
    expect(beta.incidents.map(({ code }) => code)).toEqual(['deletion-to-confirm']);
    const { direction, count, differences } = beta.engine.differences('set') ?? {};
    expect([direction, count, beta.engine.differences('other')]).toEqual(['fetches', 31, undefined]);
    expect(differences?.[0]).toEqual({ path: 'disk', what: 'extra-here', since: expect.stringMatching(/^20/) });
    expect(alpha.engine.differences('set')?.differences).toContainEqual({ path: 'disk', what: 'removed', since: null });
    expect([beta.engine.confirmDeletion('set'), beta.engine.confirmDeletion('other')]).toEqual([30, undefined]);
    await until('they are gone', same);
    await until('nothing differs', () => beta.engine.differences('set')?.count === 0);
    expect(beta.engine.confirmDeletion('set')).toBeNull();
    expect(beta.incidents.map(({ code }) => code)).toEqual(['deletion-to-confirm', 'deletion-confirmed']);
  });

  it('do not take a directory that is missing for an empty one', async () => {
    pair.direct('alpha');
    writeFileSync(join(alpha.files, 'a'), 'x');
    await until('it is there', same);
    renameSync(alpha.files, `${alpha.files}.away`);
    await beta.engine.fetch('set');
    expect(Object.keys(treeOf(beta.files))).toEqual(['a']);
    const missing = `${alpha.files} cannot be read: there is no such directory: create it, or mount its disk`;
    // the directories of both may have the same name
    expect(beta.engine.status().fileSets[0]?.reason).toBe(`alpha: ${missing}`);
    await until('alpha says it too', () => alpha.engine.status().fileSets[0]?.reason === missing);
    mkdirSync(alpha.files);
    writeFileSync(join(alpha.files, 'a'), 'back');
    await beta.engine.fetch('set');
    expect(readFileSync(join(beta.files, 'a'), 'utf8')).toBe('back');
  });

  it('say that the standby has lost its directory, or has something else in its place', async () => {
    pair.direct('alpha');
    writeFileSync(join(alpha.files, 'a'), 'x');
    await until('it is there', same);
    rmSync(beta.files, { recursive: true });
    await beta.engine.fetch('set');
    const reason = () => beta.engine.status().fileSets[0]?.reason;
    expect(reason()).toBe(`${beta.files} cannot be read: there is no such directory: create it, or mount its disk`);
    writeFileSync(beta.files, 'no directory');
    await beta.engine.fetch('set');
    expect(reason()).toBe(`${beta.files} cannot be read: it is no directory: a file set is one`);
    rmSync(beta.files);
    mkdirSync(beta.files);
    await beta.engine.fetch('set');
    expect(same()).toBe(true);
  });

  it('say what an active server lacks at which nothing listens', async () => {
    pair.direct('alpha');
    await until('alpha knows it', isConfirmed);
    await alpha.engine.close();
    await beta.engine.fetch('set');
    expect(beta.engine.status().fileSets[0]?.reason).toBe(
      `nothing listens at 127.0.0.1:${alpha.port}: the other server does while it runs and has file sets in its configuration`,
    );
  });
});

describe('content', () => {
  it('that shrinks arrives as it was, and so does what does not shrink, one file after the other', async () => {
    pair.direct('alpha');
    for (const [index, size] of [10, 70_000, 600_000].entries()) {
      writeFileSync(join(alpha.files, `text-${index}`), 'a line of a configuration file\n'.repeat(size / 30));
      writeFileSync(join(alpha.files, `random-${index}`), randomBytes(size));
    }
    await until('all is there', same);
    expect([...alpha.incidents, ...beta.incidents]).toEqual([]);
  });

  it('is sent no faster than the set allows', async () => {
    await pair.close();
    pair = await PairOfEngines.open({ maxMibPerSecond: 1 });
    ({ alpha, beta } = pair);
    writeFileSync(join(alpha.files, 'a'), randomBytes(2 * 1024 * 1024));
    const begunAtMs = performance.now();
    pair.direct('alpha');
    await until('it is there', same);
    expect(performance.now() - begunAtMs).toBeGreaterThan(1500);
  });
});

describe('a switch', () => {
  it('waits until the peer has what was written last, also of a set that is not watched', async () => {
    await pair.close();
    pair = await PairOfEngines.open({ class: 'batch' });
    ({ alpha, beta } = pair);
    pair.direct('alpha', 1);
    await until('the first run is over', isConfirmed);
    writeFileSync(join(alpha.files, 'last'), 'written just before');
    // it has closed: neither active nor standby any more, and it owns the role
    pair.directOne(alpha, { way: 'unknown', epoch: 1, reason: '' });
    expect(await alpha.engine.handOver(1, 8000)).toEqual([]);
    expect(same()).toBe(true);
    expect(alpha.engine.direction.way).toBe('unknown');
    pair.direct('beta', 2);
    writeFileSync(join(beta.files, 'last'), 'of beta');
    expect(await beta.engine.handOver(2, 8000)).toEqual([]);
    expect([same(), alpha.incidents]).toEqual([true, []]);
  });

  it('says what a peer that does not fetch has not got, when the time is over', async () => {
    pair.direct('alpha');
    await until('the first run is over', isConfirmed);
    pair.directOne(beta, { way: 'unknown', epoch: 1, reason: '' });
    writeFileSync(join(alpha.files, 'last'), 'written just before');
    expect(await alpha.engine.handOver(1, 200)).toEqual(['set: the peer has not got the last changes']);
    // an order of an earlier epoch
    expect(await beta.engine.handOver(0, 200)).toEqual(['set: this server does not send']);
  });
});

describe('files of an atomic set', () => {
  it('that are written one shortly after the other appear together', async () => {
    const keys = await PairOfEngines.open({ atomic: true });
    try {
      const write = (name: string, text: string) => writeFileSync(join(keys.alpha.files, name), text);
      const read = (name: string) => readFileSync(join(keys.beta.files, name), 'utf8');
      write('key', '0');
      write('certificate', '0');
      keys.direct('alpha');
      await until('the first are there', () => Object.keys(treeOf(keys.beta.files)).length === 2);
      const together: boolean[] = [];
      for (const version of ['1', '2', '3']) {
        write('key', version);
        await delay(50);
        // the look of the schedule comes in between
        void keys.beta.engine.fetch('set');
        await delay(50);
        const isKeyAlone = read('key') === version;
        write('certificate', version);
        await until('one of them has changed', () => read('key') === version || read('certificate') === version);
        // the renames themselves
        await delay(30);
        together.push(!isKeyAlone && read('key') === version && read('certificate') === version);
        await until('both have', () => read('key') === version && read('certificate') === version);
      }
      // where the machine stood still in between they were not written shortly after one another
      expect(together.filter(Boolean).length).toBeGreaterThan(1);
    } finally {
      await keys.close();
    }
  });
});

describe('the door', () => {
  it('is closed to whoever has not the pinned certificate', async () => {
    pair.direct('alpha');
    await expect(ask(alpha, null)).rejects.toThrow();
    const stranger = await PairOfEngines.open();
    try {
      await expect(ask(alpha, stranger.beta)).rejects.toThrow();
    } finally {
      await stranger.close();
    }
    expect((await ask(alpha, beta)).status).toBe(200);
  });

  it.each([
    ['another pair', { [PAIR_HEADER]: 'other' }, 409, 'wrong-pair'],
    ['a later epoch', { [EPOCH_HEADER]: '9' }, 409, 'stale-epoch'],
    ['no epoch', { [EPOCH_HEADER]: 'x' }, 400, 'no-epoch'],
  ])('is closed to %s', async (_, headers, status, code) => {
    pair.direct('alpha');
    const answer = await ask(alpha, beta, headers);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([status, code]);
  });

  it('is closed on a server that is not active', async () => {
    pair.direct('beta');
    expect((await ask(alpha, beta)).status).toBe(409);
  });

  it('gives nothing to a peer that has no file of that name in the set', async () => {
    pair.direct('alpha');
    const wants = (path: string) => JSON.stringify({ wants: [{ path, hash: 'A'.repeat(43), offset: 0 }] });
    for (const path of ['../secret', '/etc/passwd', 'a/../../b', '.understudy/x', 'a\0b', ''])
      expect((await ask(alpha, beta, {}, wants(path))).status).toBe(422);
    const unknown = await ask(alpha, beta, {}, wants('unknown'));
    expect(unknown.text).toContain('it has changed since');
  });

  it.each([
    ['says nothing', false],
    ['has come in behind it', true],
  ])('closes at once, also where somebody has knocked who %s', async (_, comesIn) => {
    const socket = connect(alpha.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    await delay(50);
    const begunAtMs = performance.now();
    const closed = alpha.engine.setPeer(null);
    if (comesIn) {
      const { privateKeyPem: key, certificatePem: cert } = beta.identity;
      secure({ socket, key, cert, rejectUnauthorized: false }).on('error', () => undefined);
    }
    await closed;
    expect(performance.now() - begunAtMs).toBeLessThan(5000);
    socket.destroy();
  });

  it('does not believe a server with another certificate', async () => {
    const other = await PairOfEngines.open();
    try {
      other.direct('alpha');
      writeFileSync(join(other.alpha.files, 'a'), 'of a stranger');
      await beta.engine.setPeer({ ...identityOf('alpha', alpha), ports: identityOf('alpha', other.alpha).ports });
      pair.direct('alpha');
      await beta.engine.fetch('set');
      expect(treeOf(beta.files)).toEqual({});
      expect(beta.engine.status().fileSets[0]?.reason).not.toBe('');
    } finally {
      await other.close();
    }
  });
});

/** A request as the peer would send it, with the certificate of a side or none. */
function ask(
  to: Side,
  as: Side | null,
  headers: Record<string, string> = {},
  body?: string,
): Promise<{ status: number | undefined; text: string }> {
  const { certificatePem: cert, privateKeyPem: key } = as?.identity ?? {};
  return new Promise((resolve, reject) => {
    const path = body === undefined ? '/v1/sets/set/manifest' : '/v1/sets/set/content';
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: to.port,
        path,
        method: body === undefined ? 'GET' : 'POST',
        ...(cert && key ? { cert, key } : {}),
        rejectUnauthorized: false,
        agent: false,
        headers: { [PAIR_HEADER]: 'pair', [EPOCH_HEADER]: '1', ...headers },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode, text }));
        response.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
