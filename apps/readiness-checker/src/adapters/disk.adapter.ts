import { spawn } from 'node:child_process';
import { open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type FileSystem } from '@understudy/contracts';
import { fileSystemUsage, placesThatMatter, type ServiceEnvironment } from '@understudy/platform';
import type { Probe } from '../ports/probe.port.ts';

const LOOK_MS = 4000;
const SAMPLE_BLOCKS = 32;
const BLOCK = '4M';
const SAMPLE_BYTES = SAMPLE_BLOCKS * 4 * 1024 * 1024;
/** A disk that is this slow is told by what it did until then. */
const TRANSFER_MS = 2500;
/** What must stay free beside the sample. */
const ROOM_BYTES = 1024 ** 3;
const SAMPLE_PREFIX = '.understudy-disk-speed-';

/** How full the disks are, and how fast that of the database is. */
export function diskProbes({ configuration, paths }: ServiceEnvironment): Probe[] {
  return [
    {
      title: 'file systems',
      fields: ['fileSystems'],
      limitMs: LOOK_MS + 1000,
      measure: async () => ({ fileSystems: { value: await fileSystems(placesThatMatter(configuration, paths)) } }),
    },
    {
      title: 'disk speed',
      fields: ['diskSpeed'],
      limitMs: 2 * TRANSFER_MS + 3000,
      isAlone: true,
      measure: async (signal) => {
        const directory = await besideDatabase(configuration.database.dataDirectory, paths.dataDirectory);
        const [write, read] = await diskSpeed(directory, signal);
        return { diskSpeed: { value: { writeMegabytesPerSecond: write, readMegabytesPerSecond: read } } };
      },
    },
  ];
}

async function fileSystems(places: readonly { use: string; path: string }[]): Promise<FileSystem[]> {
  const found = new Map<string, FileSystem>();
  const looks = places.map(async ({ use, path }) => ({ use, usage: await fileSystemUsage(path, LOOK_MS) }));
  for (const { use, usage } of await Promise.all(looks)) {
    const known = found.get(usage.mountPoint);
    found.set(usage.mountPoint, { ...usage, uses: [...(known?.uses ?? []), use] });
  }
  return [...found.values()];
}

/** A directory on the file system of the database, outside it where that is possible: what lies in it may be copied to the peer. */
async function besideDatabase(database: string, fallback: string): Promise<string> {
  const deviceOf = (path: string) =>
    stat(path).then(
      ({ dev }) => dev,
      () => null,
    );
  // first by a program of its own: a disk that hangs must not hold a thread of this process
  await fileSystemUsage(database, LOOK_MS);
  const beside = dirname(database);
  const [device, deviceBeside] = [await deviceOf(database), await deviceOf(beside)];
  if (device !== null) return deviceBeside === device ? beside : database;
  return deviceBeside === null ? fallback : beside;
}

/**
 * Writes and reads a sample past the page cache, in megabytes per second; null where the file system cannot read so. The sample has
 * no name while it is written: it is gone with this process, however that ends. Rejects, before it writes, where room is short.
 */
export async function diskSpeed(directory: string, signal: AbortSignal): Promise<[write: number, read: number | null]> {
  const { availableBytes, mountPoint } = await fileSystemUsage(directory, LOOK_MS);
  if (availableBytes < ROOM_BYTES + SAMPLE_BYTES)
    throw new Error(
      `${mountPoint} has only ${Math.floor(availableBytes / 1024 ** 2)} MiB free: nothing is written there`,
    );
  await sweep(directory);
  const file = join(directory, `${SAMPLE_PREFIX}${process.pid}`);
  const sample = await open(file, 'wx+', 0o600);
  try {
    await unlink(file);
    const write = await transfer(
      ['if=/dev/zero', 'of=/dev/fd/3', 'oflag=direct', 'conv=notrunc,fdatasync'],
      sample.fd,
      signal,
    );
    if (write === null) throw new Error(`${mountPoint} takes no writes past the page cache`);
    return [write, await transfer(['if=/dev/fd/3', 'of=/dev/null', 'iflag=direct'], sample.fd, signal)];
  } finally {
    await sample.close();
  }
}

/** Removes the names of samples whose process was killed between making and unnaming them. */
async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(SAMPLE_PREFIX)) await rm(join(directory, name), { force: true });
  }
}

/** Runs `dd` on the sample; megabytes per second, null when the file system does not support it. */
function transfer(operands: readonly string[], sample: number, signal: AbortSignal): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('dd', [...operands, `bs=${BLOCK}`, `count=${SAMPLE_BLOCKS}`], {
      stdio: ['ignore', 'ignore', 'pipe', sample],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
    });
    let said = '';
    child.stderr?.on('data', (data) => {
      said += String(data);
    });
    // at this signal dd tells how far it got
    const timer = setTimeout(() => child.kill('SIGINT'), TRANSFER_MS);
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
    };
    child.once('error', (error) => {
      end();
      reject(error);
    });
    child.once('close', () => {
      end();
      const [, bytes, seconds] = /^(\d+) bytes.* copied, ([\d.e+-]+) s/m.exec(said) ?? [];
      if (Number(bytes) > 0 && Number(seconds) > 0) resolve(Number(bytes) / 1e6 / Number(seconds));
      else if (said.includes('Invalid argument')) resolve(null);
      else reject(new Error(`dd: ${said.trim().split('\n')[0] ?? 'it said nothing'}`));
    });
  });
}
