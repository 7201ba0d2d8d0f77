import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { allPids } from '@understudy/platform';

// Everything here looks at /proc only: it touches no disk, and cannot hang with one.

/** Ids of PostgreSQL's processes that work in a data directory (symbolic links resolved): each of them has it as its working directory. */
export function processesIn(dataDirectory: string): number[] {
  return allPids().filter((pid) => worksIn(pid, dataDirectory));
}

/**
 * Whether that process is a PostgreSQL in that data directory (symbolic links resolved). One that is ending counts: it has no program
 * any more, while its files and sockets are still open.
 */
export function worksIn(pid: number, dataDirectory: string): boolean {
  if (link(pid, 'cwd') !== dataDirectory) return false;
  const program = link(pid, 'exe');
  return program === null || /^(postgres|postmaster)$/.test(basename(program));
}

/** Ids of running programs of that name with exactly that argument: left behind by a killed run of this service. */
export function processesWithArgument(program: string, argument: string): number[] {
  return allPids().filter((pid) => {
    const [command, ...args] = argumentsOf(pid);
    return command !== undefined && basename(command) === program && args.includes(argument);
  });
}

/** A process's arguments, the program first; empty when there is no such process, or it is ending: that takes the arguments first. */
export function argumentsOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return text === '' ? [] : text.replace(/\0$/, '').split('\0');
  } catch {
    return [];
  }
}

/** A number that grows as long as PostgreSQL in that directory works: processor time and bytes read and written. */
export function workDoneIn(dataDirectory: string): number {
  let sum = 0;
  for (const pid of processesIn(dataDirectory)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      sum += Number(fields[11]) + Number(fields[12]);
      const io = readFileSync(`/proc/${pid}/io`, 'utf8');
      sum +=
        Number(/^rchar: (\d+)/m.exec(io)?.[1] ?? 0) / 65_536 + Number(/^wchar: (\d+)/m.exec(io)?.[1] ?? 0) / 65_536;
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}

function link(pid: number, name: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/${name}`).replace(/ \(deleted\)$/, '');
  } catch {
    return null;
  }
}
