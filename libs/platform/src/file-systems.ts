import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import type { NodeConfiguration } from './configuration/configuration.schema.ts';
import type { NodePaths } from './node-paths.ts';

/** How full one file system is, as `df` counts it; sizes in bytes. */
export interface FileSystemUsage {
  readonly mountPoint: string;
  readonly sizeBytes: number;
  readonly availableBytes: number;
  /** Percent of what a user other than root may use. */
  readonly usedPercent: number;
  /** Null: the file system has no fixed number of inodes. */
  readonly usedInodesPercent: number | null;
}

/** A place that must not run full, and what it is used for. */
export interface Place {
  readonly use: string;
  readonly path: string;
}

/** Every place of this server that must not run full; several may lie on one file system. */
export function placesThatMatter(configuration: NodeConfiguration, paths: NodePaths): Place[] {
  const { database, fileSets } = configuration;
  return [
    { use: 'data', path: paths.dataDirectory },
    { use: 'database', path: database.dataDirectory },
    { use: 'WAL', path: join(database.dataDirectory, 'pg_wal') },
    { use: 'logs', path: paths.logs },
    { use: 'set aside', path: paths.setAside },
    ...fileSets.map(({ name, path }) => ({ use: `file set ${name}`, path })),
  ];
}

/** Paths whose last look has not come back yet. */
const hanging = new Set<string>();

/**
 * Reads how full the file system below a path is; where the path does not exist, the one on which it would be made. A program of its
 * own looks: a disk that hangs must not hold a thread of this process. Rejects when there is no answer within `limitMs`, and at once
 * while an earlier look at that path hangs: each would leave another process behind.
 */
export async function fileSystemUsage(path: string, limitMs: number): Promise<FileSystemUsage> {
  const endMs = performance.now() + limitMs;
  for (let at = path; ; at = dirname(at)) {
    const { code, output, errors } = await df(at, Math.max(1, endMs - performance.now()));
    if (code === 0) return parse(output);
    if (!errors.includes('No such file or directory') || at === dirname(at))
      throw new Error(errors.trim() || `df ended with ${code}`);
  }
}

function df(path: string, limitMs: number): Promise<{ code: number | null; output: string; errors: string }> {
  return new Promise((resolve, reject) => {
    if (hanging.has(path)) {
      reject(new Error(`the file system of ${path} does not answer`));
      return;
    }
    const child = spawn('df', ['-B1', '--output=size,used,avail,itotal,iused,target', '--', path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
    });
    let [output, errors] = ['', ''];
    child.stdout.on('data', (data) => {
      output += String(data);
    });
    child.stderr.on('data', (data) => {
      errors += String(data);
    });
    const timer = setTimeout(() => {
      // a process that waits for a dead disk cannot be ended: it is left behind, and not waited for
      hanging.add(path);
      child.kill('SIGKILL');
      child.unref();
      reject(new Error(`the file system of ${path} does not answer within ${Math.round(limitMs / 1000)} s`));
    }, limitMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      hanging.delete(path);
      clearTimeout(timer);
      resolve({ code, output, errors });
    });
  });
}

function parse(output: string): FileSystemUsage {
  const line = output.trim().split('\n').at(-1) ?? '';
  const [size, used, available, inodes, usedInodes, ...target] = line.trim().split(/\s+/);
  const [sizeBytes, usedBytes, availableBytes] = [Number(size), Number(used), Number(available)];
  if (!(sizeBytes >= 0) || !(usedBytes >= 0) || !(availableBytes >= 0)) throw new Error(`df says "${line}"`);
  const usable = usedBytes + availableBytes;
  return {
    mountPoint: target.join(' '),
    sizeBytes,
    availableBytes,
    usedPercent: usable === 0 ? 0 : (usedBytes / usable) * 100,
    usedInodesPercent: Number(inodes) > 0 ? (Number(usedInodes) / Number(inodes)) * 100 : null,
  };
}
