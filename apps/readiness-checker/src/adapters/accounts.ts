import { execFile } from 'node:child_process';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** So many entries of a file set are looked at: an owner who has none among them is not found. */
const ENTRIES_MAX = 5000;
/** A machine may know all the people of a company. */
const KNOWN_MAX = 5000;

/** Who PostgreSQL and the files of the file sets belong to, and the ids that this server gives to names. */
export async function accounts(
  osUser: string,
  fileSets: readonly { readonly path: string }[],
  signal: AbortSignal,
): Promise<{ used: string[]; known: Record<string, number> }> {
  const owners = await ownersIn(fileSets.map(({ path }) => path));
  const [users, groups] = await Promise.all([
    idsOf('passwd', [osUser, ...owners.users].map(String), signal),
    idsOf('group', [...owners.groups].map(String), signal),
  ]);
  const used = [
    `user ${osUser}`,
    ...[...owners.users].map((id) => `user ${nameOf(id, users)}`),
    ...[...owners.groups].map((id) => `group ${nameOf(id, groups)}`),
  ];
  const known = [
    ...Object.entries(users).map(([name, id]) => [`user ${name}`, id] as const),
    ...Object.entries(groups).map(([name, id]) => [`group ${name}`, id] as const),
  ];
  return { used: [...new Set(used)], known: Object.fromEntries(known) };
}

/** An owner whom nobody knows is named by the id. */
function nameOf(id: number, ids: Readonly<Record<string, number>>): string {
  return Object.entries(ids).find(([, known]) => known === id)?.[0] ?? String(id);
}

/** Ids by name: of all that are listed, and of these names and ids, which a directory service may know without listing them. */
async function idsOf(list: 'passwd' | 'group', keys: readonly string[], signal: AbortSignal) {
  const questions = keys.length === 0 ? [[]] : [[], keys];
  // what is not known is left out, and told by the exit code
  const ask = (words: readonly string[]) =>
    run('getent', [list, ...words], { signal }).catch(({ stdout = '' }: { stdout?: string }) => ({ stdout }));
  const answers = await Promise.all(questions.map(ask));
  const lines = answers.flatMap(({ stdout }) => stdout.trim().split('\n').slice(0, KNOWN_MAX));
  return Object.fromEntries(lines.flatMap(entryIn));
}

function entryIn(line: string): [string, number][] {
  const [name, , id] = line.split(':');
  return name && id ? [[name, Number(id)]] : [];
}

/** Owners of the roots and of what lies in them, breadth first. What cannot be looked at belongs to nobody. */
async function ownersIn(roots: readonly string[]): Promise<{ users: Set<number>; groups: Set<number> }> {
  const found = { users: new Set<number>(), groups: new Set<number>() };
  for (const root of roots) {
    const queue = [root];
    for (let index = 0; index < queue.length && index < ENTRIES_MAX; index++) {
      const path = queue[index] as string;
      const seen = await lstat(path).catch(() => null);
      if (seen === null) continue;
      found.users.add(seen.uid);
      found.groups.add(seen.gid);
      if (!seen.isDirectory() || queue.length >= ENTRIES_MAX) continue;
      for await (const { name } of await opendir(path).catch(() => [])) queue.push(join(path, name));
    }
  }
  return found;
}
