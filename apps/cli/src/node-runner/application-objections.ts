import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { findProgram, isExecutable, type NodeConfiguration } from '@understudy/platform';
import { findUser } from './database-user.ts';

/**
 * What the application would lack on this machine: a standby notices it at its takeover only. A line for each, with its key; units and
 * containers are not looked at.
 */
export function applicationObjections({ processes, virtualIp }: NodeConfiguration, searchPath: string): string[] {
  const ofProcesses = processes.flatMap(({ name, enabled, command, user, workingDirectory, environment }, index) => {
    const [program] = command ?? [];
    if (!enabled || program === undefined) return [];
    const say = (key: string, what: string) => `processes.${index}.${key}: there is no ${what}, which ${name} needs`;
    const isThere = program.includes('/')
      ? isExecutable(resolve(workingDirectory ?? '/', program))
      : findProgram(program, environment.PATH ?? searchPath) !== null;
    return [
      ...(isThere ? [] : [say('command', `program ${program}`)]),
      ...(user === undefined || findUser(user) !== null ? [] : [say('user', `user "${user}"`)]),
      ...(workingDirectory === undefined || existsSync(workingDirectory)
        ? []
        : [say('workingDirectory', `directory ${workingDirectory}`)]),
    ];
  });
  const link = virtualIp?.interface;
  const hasLink = link === undefined || existsSync(`/sys/class/net/${link}`);
  return [...ofProcesses, ...(hasLink ? [] : [`virtualIp.interface: there is no network interface ${link}`])];
}

/** File sets that this server could not send or keep, a line for each, with its key. The standby makes a directory that is missing. */
export function fileSetObjections({ node, fileSets }: NodeConfiguration): string[] {
  return fileSets.flatMap(({ path }, index) => {
    const found = kindOf(path);
    if (found === 'other') return [`fileSets.${index}.path: ${path} is no directory: a file set is one`];
    if (found === 'directory' || node.role === 'secondary') return [];
    return [`fileSets.${index}.path: there is no directory ${path}: create it, or mount its disk`];
  });
}

function kindOf(path: string): 'directory' | 'other' | 'missing' {
  try {
    return statSync(path).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'other' : 'missing';
  }
}
