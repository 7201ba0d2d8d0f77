import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Measurements } from '@understudy/contracts';
import { ensureOwnIdentity, loadConfiguration, makeServiceEnvironment, SILENT_LOGGER } from '@understudy/platform';
import { accounts } from './accounts.ts';
import { diskProbes, diskSpeed } from './disk.adapter.ts';
import { machineProbes } from './machine.adapter.ts';
import { networkProbes } from './network.adapter.ts';

const MACHINE = fileURLToPath(new URL('../../dist/adapters/machine.adapter.js', import.meta.url));
const DISK = fileURLToPath(new URL('../../dist/adapters/disk.adapter.js', import.meta.url));
const isRoot = process.getuid?.() === 0;
const itAsRoot = isRoot ? it : it.skip;
const signal = new AbortController().signal;
const NOBODY = { missing: 'HA is not configured', isSilent: false };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'readiness-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function environment() {
  const file = join(directory, 'node.yaml');
  const dataDirectory = join(directory, 'data');
  mkdirSync(dataDirectory, { recursive: true });
  writeFileSync(
    file,
    JSON.stringify({ node: { name: 'alpha', role: 'primary', address: '127.0.0.1', dataDirectory } }),
  );
  const loaded = loadConfiguration(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const { configuration } = loaded;
  return makeServiceEnvironment('readiness-checker', { file, runId: 'run', configuration, logger: SILENT_LOGGER });
}

/** What the machine probes find in a process of its own, begun by `shell` with other surroundings. */
function foundIn(shell: string, more: NodeJS.ProcessEnv = {}): Measurements {
  const script = `const { machineProbes } = await import(${JSON.stringify(MACHINE)});
    const env = { configuration: { database: { osUser: 'root' }, fileSets: [] }, paths: { certificate: '/none' }, clock: { unixMs: Date.now } };
    const signal = new AbortController().signal;
    const found = await Promise.all(machineProbes(env).map((probe) => probe.measure(signal).catch(() => ({}))));
    console.log(JSON.stringify(Object.assign({}, ...found)));`;
  const file = join(directory, 'probe.mjs');
  writeFileSync(file, script);
  const run = `${shell} ${process.execPath} ${file}`;
  return JSON.parse(execFileSync('sh', ['-c', run], { encoding: 'utf8', env: { ...process.env, ...more } }));
}

describe('measurements on this machine', () => {
  it('measures all that every machine has', async () => {
    const env = environment();
    mkdirSync(env.paths.identity, { recursive: true });
    await ensureOwnIdentity(env.paths, { name: 'alpha', address: '127.0.0.1' });
    const probes = [...machineProbes(env), ...diskProbes(env), ...networkProbes(env)].filter(({ isAlone }) => !isAlone);
    const found: Measurements = Object.assign(
      {},
      ...(await Promise.all(
        probes.filter(({ title }) => title !== 'time service').map(({ measure }) => measure(signal, NOBODY)),
      )),
    );
    for (const [field, reading] of Object.entries(found))
      expect([field, reading]).toEqual([field, { value: expect.anything() }]);
    expect(found.networkInterface).toMatchObject({ value: { name: 'lo', megabitsPerSecond: null } });
    expect(found.fileSystems).toMatchObject({
      value: expect.arrayContaining([expect.objectContaining({ uses: expect.arrayContaining(['database', 'WAL']) })]),
    });
  });

  it('sees the time zone of its surroundings', () => {
    expect(foundIn('', { TZ: 'Asia/Tokyo' }).timeZone).toEqual({ value: 'Asia/Tokyo' });
  });

  it('sees a limit of open files', () => {
    expect(foundIn('ulimit -n 1000;').kernelLimits).toMatchObject({ value: { openFiles: 1000 } });
  });

  it('sees how many processors it may use', () => {
    expect(foundIn('taskset -c 0').cpuCount).toEqual({ value: 1 });
  });

  itAsRoot('sees to whom the files of a file set belong, in the words of this server', async () => {
    const set = join(directory, 'set');
    mkdirSync(join(set, 'deep'), { recursive: true });
    writeFileSync(join(set, 'deep', 'file'), '');
    execFileSync('chown', ['daemon:12345', join(set, 'deep', 'file')]);
    const { used, known } = await accounts('nobody', [{ path: set }, { path: '/no/such/set' }], signal);
    expect(used).toEqual(['user nobody', 'user root', 'user daemon', 'group root', 'group 12345']);
    expect(known).toMatchObject({ 'user nobody': 65534, 'user daemon': 1, 'group root': 0 });
    expect(known).not.toHaveProperty(['group 12345']);
  });

  itAsRoot('sees a /dev/shm that is too small', () => {
    const small = 'mount -t tmpfs -o size=16m tmpfs /dev/shm';
    expect(foundIn(`unshare -m sh -c '${small} && exec "$0" "$@"'`).sharedMemoryBytes).toEqual({
      value: 16 * 1024 ** 2,
    });
  });
});

describe('disk speed', () => {
  it('is measured on a real disk, and leaves nothing behind', async () => {
    const [write, read] = await diskSpeed(directory, signal);
    expect(write).toBeGreaterThan(0);
    expect(read).toBeGreaterThan(0);
    expect(readdirSync(directory).filter((name) => name.includes('disk-speed'))).toEqual([]);
  }, 30_000);

  it('removes what a killed run has left', async () => {
    writeFileSync(join(directory, '.understudy-disk-speed-1'), '');
    await diskSpeed(directory, signal);
    expect(readdirSync(directory).filter((name) => name.includes('disk-speed'))).toEqual([]);
  }, 30_000);

  it('leaves nothing behind when it is killed in the middle', async () => {
    const place = join(directory, 'killed');
    mkdirSync(place);
    const script = join(directory, 'measure.mjs');
    writeFileSync(
      script,
      `const { diskSpeed } = await import(${JSON.stringify(DISK)});
       await diskSpeed(${JSON.stringify(place)}, new AbortController().signal);`,
    );
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'inherit'] });
    const writes = () => {
      try {
        const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
        return children.some((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'dd');
      } catch {
        return false; // one has ended between the two looks
      }
    };
    for (const endMs = performance.now() + 10_000; !writes() && performance.now() < endMs; ) await sleep(2);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    expect(readdirSync(place)).toEqual([]);
  }, 30_000);

  it('ends at once when it is told to', async () => {
    const controller = new AbortController();
    const began = performance.now();
    setTimeout(() => controller.abort(), 50);
    await diskSpeed(directory, controller.signal).catch(() => undefined);
    expect(performance.now() - began).toBeLessThan(3000);
    expect(readdirSync(directory).filter((name) => name.includes('disk-speed'))).toEqual([]);
  }, 30_000);

  itAsRoot('is not measured where that would fill the disk', async () => {
    const small = join(directory, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'readiness', small]);
    try {
      await expect(diskSpeed(small, signal)).rejects.toThrow('64 MiB free: nothing is written there');
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
