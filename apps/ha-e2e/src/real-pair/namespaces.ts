import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { pauseBlocking } from './deadline.ts';

/** A process seen in a network namespace. */
export interface NamespaceProcess {
  readonly pid: number;
  readonly parentPid: number;
  /** Kernel's short name, at most 15 characters. */
  readonly name: string;
  /** Arguments joined by spaces. */
  readonly commandLine: string;
}

/** Runs `ip` and returns what it prints. Throws with its message when it fails, unless `tolerate` is set. */
export function ip(args: readonly string[], options: { readonly tolerate?: boolean } = {}): string {
  return run('ip', args, options);
}

/** Runs `tc`, which rules over the queues of network devices, like ip(). */
export function tc(args: readonly string[], options: { readonly tolerate?: boolean } = {}): string {
  return run('tc', args, options);
}

function run(file: string, args: readonly string[], options: { readonly tolerate?: boolean }): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
  } catch (error) {
    if (options.tolerate) return '';
    const stderr = (error as { stderr?: string }).stderr ?? '';
    throw new Error(`${file} ${args.join(' ')}: ${stderr.trim() || String(error)}`);
  }
}

/** True when this process may make network namespaces and has the tools for it. */
export function namespacesAreAvailable(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const probe = `understudy-probe-${process.pid}`;
  try {
    ip(['netns', 'add', probe]);
    ip(['netns', 'delete', probe]);
    return true;
  } catch {
    return false;
  }
}

/** True when the named network namespace exists. */
export function namespaceExists(namespace: string): boolean {
  return inodeOf(namespace) !== undefined;
}

function inodeOf(namespace: string): number | undefined {
  return statSync(`/run/netns/${namespace}`, { throwIfNoEntry: false })?.ino;
}

/** Every living process of the namespace, in order of pid; zombies do not count. */
export function pidsIn(namespace: string): number[] {
  const inode = inodeOf(namespace);
  if (inode === undefined) return [];
  const link = `net:[${inode}]`;
  if (readlinkSync('/proc/self/ns/net') === link) throw new Error(`${namespace} is this process's own namespace`);
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => namespaceLinkOf(pid) === link)
    .sort((a, b) => a - b);
}

function namespaceLinkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Every living process of the namespace with its name and arguments. */
export function processesIn(namespace: string): NamespaceProcess[] {
  return pidsIn(namespace).flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return [{ pid, parentPid: Number(afterName[1]), name, commandLine }];
    } catch {
      return []; // ended between the two looks
    }
  });
}

/** SIGKILL to every process of the namespace, repeated until none is left. Throws when some survive for 2 s. */
export function killAllIn(namespace: string): void {
  for (let attempt = 0; attempt < 200; attempt++) {
    const pids = pidsIn(namespace);
    if (pids.length === 0) return;
    for (const pid of pids) signal(pid, 'SIGKILL');
    pauseBlocking(10);
  }
  throw new Error(`processes survive in ${namespace}: ${pidsIn(namespace).join(', ')}`);
}

/** Sends a signal; a process that is gone already is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
