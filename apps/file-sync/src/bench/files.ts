/**
 * How files are synchronised, against rsync: `npm run bench:files`, see `--help`. Both servers run on this machine, each in a process of
 * its own, over mutual TLS. The table goes to stdout as Markdown, progress to stderr.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { syncFileSystem } from '../engine/staging.ts';
import { type BenchOptions, readBenchOptions } from './bench-options.ts';
import { measureChanges } from './changes.ts';
import { type Cost, MeasuredPair } from './measured-pair.ts';
import { measurePlainHttps } from './plain-https.ts';
import { type Row, toMarkdown } from './report.ts';
import { RsyncDaemon } from './rsync-daemon.ts';
import { changeMiddle, makeLargeFile, makeSmallFiles } from './trees.ts';

const SMALL_BYTES = 4096;
const MIB = 1024 * 1024;
const TURNS = 5;

/** A directory of files with everything that takes them from there. */
class Course {
  private constructor(
    private readonly directory: string,
    readonly source: string,
    readonly daemon: RsyncDaemon,
  ) {}

  static async open(parent: string, make: (source: string) => void): Promise<Course> {
    const directory = mkdtempSync(join(parent, 'understudy-bench-files-'));
    try {
      const source = join(directory, 'source');
      mkdirSync(source);
      make(source);
      await syncFileSystem(directory);
      return new Course(directory, source, await RsyncDaemon.open(directory, source));
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where rsync puts its copy. */
  get copy(): string {
    return join(this.directory, 'rsync');
  }

  /**
   * First copies: rsync's durable one, rsync's, and a pair's. What one leaves to be written must not burden the next one; and none is removed
   * before the end: ext4 passes over inodes that were removed in the last minutes one by one, which makes new files slow.
   */
  async first(what: string, limit: number): Promise<{ row: Row; pair: MeasuredPair }> {
    const rsyncDurable = await this.daemon.fetch(join(this.directory, 'rsync-durable'), '--fsync');
    await syncFileSystem(this.directory);
    const rsync = await this.daemon.fetch(this.copy);
    await syncFileSystem(this.directory);
    const pair = await MeasuredPair.open(join(this.directory, 'pair'), this.source);
    const { seconds, cpuSeconds } = await pair.first();
    process.stderr.write(`${what}: ${cpuSeconds.toFixed(2)} s of processor on the busier server\n`);
    await syncFileSystem(this.directory);
    return { row: { what, unit: 's', own: seconds, rsync, rsyncDurable, limit: { of: 'ratio', value: limit } }, pair };
  }

  async close(): Promise<void> {
    await this.daemon.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function smallFiles({ kinds, files, directory }: BenchOptions, told: (row: Row) => void): Promise<void> {
  if (!kinds.includes('first') && !kinds.includes('unchanged')) return;
  const course = await Course.open(directory, (source) => makeSmallFiles(source, files, SMALL_BYTES));
  const { row, pair } = await course.first(`first sync of ${files} files of 4 KiB`, 1);
  if (kinds.includes('first')) told(row);
  if (kinds.includes('unchanged')) {
    await pair.look();
    // in turn: a machine has quicker and slower moments
    const own: Cost[] = [];
    const others: number[] = [];
    for (let count = 0; count < TURNS; count++) {
      own.push(await pair.look());
      others.push(await course.daemon.fetch(course.copy));
    }
    const cpuSeconds = median(own.map((cost) => cost.cpuSeconds));
    const seconds = median(own.map((cost) => cost.seconds));
    const what = `nothing changed among ${files} files`;
    const limit = { of: 'ratio', value: 0.5 } as const;
    told({ what: `${what}, median of ${TURNS}`, unit: 's', own: seconds, rsync: median(others), limit });
    const unit = 'CPU s';
    told({
      what: `${what}, processor of the busier server`,
      unit,
      own: cpuSeconds,
      rsync: null,
      limit: { of: 'own', value: 1 },
    });
  }
  await pair.close();
  await course.close();
}

async function largeFile({ kinds, largeMib, directory }: BenchOptions, told: (row: Row) => void): Promise<void> {
  if (!kinds.includes('large') && !kinds.includes('block')) return;
  const course = await Course.open(directory, (source) => makeLargeFile(join(source, 'large'), largeMib));
  const { row, pair } = await course.first(`first sync of one file of ${largeMib} MiB`, 1.2);
  if (kinds.includes('large')) {
    told(row);
    const what = `the same bytes through HTTPS of Node.js alone: not hashed, not written`;
    const { cert, key } = pair.active.credentials;
    const own = await measurePlainHttps(join(course.source, 'large'), { cert, key });
    told({ what, unit: 's', own, rsync: row.rsync, limit: null });
  }
  if (kinds.includes('block')) {
    changeMiddle(join(course.source, 'large'), largeMib);
    const own = (await pair.bytesOfLook()) / MIB;
    const rsync = (await course.daemon.bytesOfFetch(course.copy)) / MIB;
    const what = `1 MiB changed in a file of ${largeMib} MiB: sent`;
    told({ what, unit: 'MiB', own, rsync, limit: { of: 'ratio', value: 1.5 } });
  }
  await pair.close();
  await course.close();
}

async function changes({ kinds, seconds, directory }: BenchOptions, told: (row: Row) => void): Promise<void> {
  if (!kinds.includes('realtime')) return;
  const parent = mkdtempSync(join(directory, 'understudy-bench-files-'));
  const source = join(parent, 'source');
  mkdirSync(source);
  makeSmallFiles(source, 1000, SMALL_BYTES);
  const pair = await MeasuredPair.open(join(parent, 'pair'), source);
  await pair.first();
  const { count, p50, p99 } = await measureChanges(source, pair.standby.files, seconds);
  const what = `a change is on the standby, 100 changes/s, ${count} changes`;
  told({ what: `${what}: p50`, unit: 'ms', own: p50, rsync: null, limit: { of: 'own', value: 300 } });
  told({ what: `${what}: p99`, unit: 'ms', own: p99, rsync: null, limit: { of: 'own', value: 1500 } });
  await pair.close();
  rmSync(parent, { recursive: true, force: true });
}

async function memory({ kinds, tracked, directory }: BenchOptions, told: (row: Row) => void): Promise<void> {
  if (!kinds.includes('memory')) return;
  const parent = mkdtempSync(join(directory, 'understudy-bench-files-'));
  const source = join(parent, 'source');
  mkdirSync(source);
  makeSmallFiles(source, tracked, 4);
  const pair = await MeasuredPair.open(join(parent, 'pair'), source);
  await pair.first();
  await pair.look();
  for (const [name, side] of [
    ['active', pair.active],
    ['standby', pair.standby],
  ] as const) {
    const { peakMib, residentMib } = await side.ask({ type: 'status' });
    const what = `memory of the ${name} server’s engine with ${tracked} files`;
    const limit = { of: 'own', value: 600 } as const;
    told({ what: `${what}, after a look`, unit: 'MiB', own: residentMib, rsync: null, limit });
    told({ what: `${what}, at most`, unit: 'MiB', own: peakMib, rsync: null, limit });
  }
  await pair.close();
  rmSync(parent, { recursive: true, force: true });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

async function run(words: readonly string[]): Promise<void> {
  const options = readBenchOptions(words, (text) => process.stderr.write(text));
  const load = loadavg()[0] ?? 0;
  const rows: Row[] = [];
  const told = (row: Row) => {
    rows.push(row);
    process.stderr.write(`${row.what}: ${row.own.toFixed(2)} ${row.unit}, rsync ${row.rsync?.toFixed(2) ?? '-'}\n`);
  };
  for (const measure of [smallFiles, largeFile, changes, memory]) await measure(options, told);
  process.stdout.write(`${toMarkdown(rows, new Date(), load)}\n`);
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode;
}
