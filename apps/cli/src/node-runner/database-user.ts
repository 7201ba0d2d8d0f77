import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NodeConfiguration } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';

interface OsUser {
  readonly uid: number;
  readonly groups: readonly number[];
}

/** As root, PostgreSQL runs as another user: that user must exist and reach the data directory. Throws NotStartable. */
export function requireDatabaseUser({ database }: NodeConfiguration): void {
  if (process.getuid?.() !== 0) return;
  const user = findUser(database.osUser);
  if (user === null) {
    throw new NotStartable([
      `database.osUser: there is no user "${database.osUser}" on this machine; create it or name another one`,
    ]);
  }
  const closed = ancestorsOf(database.dataDirectory).find((directory) => !maySearch(user, directory));
  if (closed === undefined) return;
  throw new NotStartable([
    `database.dataDirectory: the user "${database.osUser}" cannot reach ${database.dataDirectory}, because ${closed} is closed to it; "chmod o+x ${closed}" or choose another directory`,
  ]);
}

export function findUser(name: string): OsUser | null {
  try {
    const ids = (option: string) =>
      execFileSync('id', [option, '--', name], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 5000 })
        .toString()
        .trim()
        .split(' ')
        .map(Number);
    return { uid: ids('-u')[0] ?? -1, groups: ids('-G') };
  } catch {
    return null;
  }
}

/** From the root down, without the directory itself. */
function ancestorsOf(directory: string): string[] {
  const parent = dirname(directory);
  return parent === directory ? [] : [...ancestorsOf(parent), parent];
}

function maySearch(user: OsUser, directory: string): boolean {
  const stats = statSync(directory, { throwIfNoEntry: false });
  // What does not exist yet is made open enough; what is no directory is found out when it is used.
  if (!stats?.isDirectory() || user.uid === 0) return true;
  if (stats.uid === user.uid) return (stats.mode & 0o100) !== 0;
  if (user.groups.includes(stats.gid)) return (stats.mode & 0o010) !== 0;
  return (stats.mode & 0o001) !== 0;
}
