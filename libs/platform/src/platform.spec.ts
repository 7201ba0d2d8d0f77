import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';
import { ensureOwnIdentity, readOwnIdentity } from './identity.ts';
import { JsonLogger } from './logger.ts';
import { localBindAddress } from './network.ts';
import { NodePaths } from './node-paths.ts';
import { PeerIdentityFile } from './peer-file.ts';
import { isAlive, processStartTime } from './process-identity.ts';
import { Secret } from './secret.ts';
import { writeFileAtomically } from './write-file-atomically.ts';

const directory = mkdtempSync(join(tmpdir(), 'platform-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('a server’s identity', () => {
  const paths = new NodePaths(join(directory, 'node'));
  const server = { name: 'alpha', address: '10.77.0.1' };

  it('is made once, for servers and clients, by address and by local name', async () => {
    mkdirSync(paths.identity, { recursive: true });
    expect(await readOwnIdentity(paths)).toBeNull();
    const identity = await ensureOwnIdentity(paths, server);
    const certificate = new X509Certificate(identity.certificatePem);
    expect(certificate.subject).toMatch(/^CN=understudy-alpha\nOU=[0-9a-f]{32}$/);
    expect(certificate.checkIP('10.77.0.1')).toBe('10.77.0.1');
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(true);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(identity.fingerprint).toBe(certificate.fingerprint256.replaceAll(':', '').toLowerCase());
    expect(statSync(paths.privateKey).mode & 0o777).toBe(0o600);
    expect(await ensureOwnIdentity(paths, server)).toEqual(identity);
  });

  it('is made anew when the first start was killed between key and certificate', async () => {
    rmSync(paths.certificate);
    const identity = await ensureOwnIdentity(paths, server);
    expect(await readOwnIdentity(paths)).toEqual(identity);
  });
});

describe('the file that names the peer', () => {
  const file = new PeerIdentityFile(join(directory, 'peer.json'), (value) => {
    if (typeof (value as { name?: unknown }).name !== 'string') throw new Error('no name');
    return value as { name: string };
  });

  it('is followed: present content first, then each change; a damaged one is reported once', async () => {
    const seen: (string | null)[] = [];
    const errors: unknown[] = [];
    const stop = file.follow(
      (peer) => void seen.push(peer?.name ?? null),
      (error) => void errors.push(error),
    );
    await until(() => seen.length === 1);
    await file.write({ name: 'beta' });
    await until(() => seen.length === 2);
    writeFileSync(file.file, '{ damaged');
    await until(() => errors.length === 1);
    await expect(file.read()).rejects.toThrow();
    await file.write({ name: 'gamma' });
    await until(() => seen.length === 3);
    await file.remove();
    await until(() => seen.length === 4);
    stop();
    expect(seen).toEqual([null, 'beta', 'gamma', null]);
    expect(errors).toHaveLength(1);
  });

  it('delivers again what its reader failed on', async () => {
    let attempts = 0;
    const stop = file.follow(
      () => {
        attempts += 1;
        if (attempts === 1) throw new Error('not now');
      },
      () => undefined,
    );
    await until(() => attempts === 2);
    stop();
  });

  it('refuses to be written with what it is not, and to forget nothing is fine', async () => {
    await expect(file.write({} as { name: string })).rejects.toThrow('no name');
    await file.remove();
    expect(await file.read()).toBeNull();
  });
});

describe('a file written atomically', () => {
  it('has the mode asked for and leaves no temporary file, written or not', async () => {
    const target = join(directory, 'atomic');
    mkdirSync(target);
    await writeFileAtomically(join(target, 'a'), 'one', { mode: 0o600 });
    await writeFileAtomically(join(target, 'a'), 'two', { mode: 0o640 });
    expect(readFileSync(join(target, 'a'), 'utf8')).toBe('two');
    expect(statSync(join(target, 'a')).mode & 0o777).toBe(0o640);
    mkdirSync(join(target, 'b'));
    await expect(writeFileAtomically(join(target, 'b'), 'x')).rejects.toThrow();
    expect(readdirSync(target).sort()).toEqual(['a', 'b']);
  });
});

describe('a process', () => {
  it('is told from a later one with the same pid, and a zombie is dead', async () => {
    const startTime = processStartTime(process.pid) ?? 0;
    expect(isAlive(process.pid, startTime)).toBe(true);
    expect(isAlive(process.pid, startTime + 1)).toBe(false);
    expect(processStartTime(2 ** 22 + 1)).toBeNull();
    // A parent that never waits for its child leaves a zombie. The child ends only when the shell, which would wait, is gone.
    const child = 'while ! grep -q sleep /proc/$PPID/comm; do :; done';
    const parent = spawn('sh', ['-c', `sh -c '${child}' & echo $!; exec sleep 30`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const zombie = await new Promise<number>((resolve) => parent.stdout?.once('data', (data) => resolve(Number(data))));
    await until(() => existsSync(`/proc/${zombie}`) && readFileSync(`/proc/${zombie}/stat`, 'utf8').includes(') Z '));
    expect(processStartTime(zombie)).toBeNull();
    parent.kill('SIGKILL');
  });
});

describe('a log line', () => {
  it('is one JSON object with the fields, and secrets do not show', () => {
    const lines: string[] = [];
    const logger = new JsonLogger('heartbeat', { write: (line) => lines.push(line) }).with({ peer: 'beta' });
    logger.info('Hello', { lsn: 5n, password: new Secret('hush'), message: 'not this' });
    logger.debug('left out');
    logger.error('Bad', { error: new Error('oops', { cause: new Error('why') }) });
    const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(2);
    expect(first).toMatchObject({
      level: 'info',
      service: 'heartbeat',
      message: 'Hello',
      peer: 'beta',
      lsn: '5',
      password: '[secret]',
    });
    expect(second).toMatchObject({ error: { message: 'oops', cause: 'why' } });
  });

  it('is bounded', () => {
    const lines: string[] = [];
    const logger = new JsonLogger('x', { write: (line) => lines.push(line) });
    logger.info('Big', { data: 'y'.repeat(100_000) });
    expect(lines[0]?.length).toBeLessThan(20_000);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: 'Big' });
  });
});

it('a secret never prints', () => {
  const secret = new Secret('hush');
  expect(`${secret} ${inspect({ secret })} ${JSON.stringify({ secret })}`).not.toContain('hush');
  expect(secret.reveal()).toBe('hush');
});

it('sockets of a deep data directory go to a short one, always the same', () => {
  expect(new NodePaths('/var/lib/understudy').sockets).toBe('/var/lib/understudy/run');
  const deep = new NodePaths(`/srv/${'deep/'.repeat(30)}data`);
  expect(deep.sockets).toMatch(/^\/tmp\/understudy-[0-9a-f]{12}$/);
  expect(new NodePaths(deep.dataDirectory).sockets).toBe(deep.sockets);
});

it('what is for this server only listens where no other machine reaches it', () => {
  expect(localBindAddress('10.77.0.1')).toBe('127.0.0.1');
  expect(localBindAddress('127.0.1.2')).toBe('127.0.1.2');
  expect(localBindAddress('alpha.example.net')).toBe('127.0.0.1');
});

async function until(condition: () => boolean, limitMs = 5000): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
