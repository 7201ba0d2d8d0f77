import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { processStartTime } from '@understudy/platform';

/** A process of this machine as /proc shows it. Reading /proc touches no disk, so none of this can hang with one. */
export interface ProcessView {
  readonly pid: number;
  readonly parentPid: number;
  readonly startTime: number;
  /** Working directory; PostgreSQL's processes stay in their data directory. */
  readonly directory: string | null;
  readonly command: string;
  readonly commandLine: string;
}

/** One live process (no zombie), null when there is none. */
export function viewProcess(pid: number): ProcessView | null {
  const startTime = processStartTime(pid);
  if (startTime === null) return null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const parentPid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return { pid, parentPid, startTime, directory: directoryOf(pid), command, commandLine };
  } catch {
    return null;
  }
}

/** PostgreSQL's processes whose working directory is a data directory: postmaster, children, and orphans of a killed postmaster. */
export function processesIn(directory: string): ProcessView[] {
  return allPids().flatMap((pid) => {
    if (directoryOf(pid) !== directory) return [];
    const view = viewProcess(pid);
    return view && /^(postgres|postmaster)$/.test(view.command) ? [view] : [];
  });
}

/** Processes with a certain text in their command line, such as a copy into our directory that outlived us. */
export function processesNaming(text: string): ProcessView[] {
  return allPids().flatMap((pid) => {
    if (pid === process.pid) return [];
    const view = viewProcess(pid);
    return view?.commandLine.includes(text) ? [view] : [];
  });
}

/** Bytes read and written so far by processes: a number that grows as long as they work. */
export function bytesMoved(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/io`, 'utf8');
      return (
        sum + [...text.matchAll(/^(?:rchar|wchar): (\d+)$/gm)].reduce((total, match) => total + Number(match[1]), 0)
      );
    } catch {
      return sum;
    }
  }, 0);
}

/**
 * Whether something listens on one of these addresses (or on all) at a port, in our network namespace. Addresses are IPv4 in dotted
 * form; others match a listener on all addresses only.
 */
export function isPortTaken(port: number, addresses: readonly string[]): boolean {
  const wanted = new Set(['00000000', '0'.repeat(32), ...addresses.flatMap((address) => procAddress(address) ?? [])]);
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((file) => {
    try {
      return readFileSync(file, 'utf8')
        .split('\n')
        .slice(1)
        .some((line) => {
          const [, local, , state] = line.trim().split(/\s+/);
          const [address, hexPort] = (local ?? '').split(':');
          return state === '0A' && Number.parseInt(hexPort ?? '', 16) === port && wanted.has(address ?? '');
        });
    } catch {
      return false;
    }
  });
}

function procAddress(address: string): string | null {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part))) return null;
  return parts
    .reverse()
    .map((part) => part.toString(16).toUpperCase().padStart(2, '0'))
    .join('');
}

function allPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

function directoryOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
