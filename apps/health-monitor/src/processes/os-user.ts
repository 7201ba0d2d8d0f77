import { readFileSync } from 'node:fs';

/** The command as another user runs it, in the same process: setpriv replaces itself. No user, or not root: the command as it is. */
export function commandAs(user: string | undefined, command: readonly string[]): readonly string[] {
  if (user === undefined || process.getuid?.() !== 0) return command;
  const group = entryOf(user)?.[3];
  if (group === undefined) throw new Error(`there is no operating system user "${user}"`);
  return ['setpriv', '--reuid', user, '--regid', group, '--init-groups', '--', ...command];
}

/** What a program learns about its own user, in place of what it would learn about ours; nothing where `commandAs` leaves it ours. */
export function environmentAs(user: string | undefined): Readonly<Record<string, string>> {
  if (user === undefined || process.getuid?.() !== 0) return {};
  const [, , , , , home, shell] = entryOf(user) ?? [];
  return home === undefined ? {} : { USER: user, LOGNAME: user, HOME: home, SHELL: shell || '/bin/sh' };
}

/** The fields of the user's entry; undefined: there is no such user. */
function entryOf(user: string): string[] | undefined {
  const entries = readFileSync('/etc/passwd', 'utf8').split('\n');
  return entries.map((line) => line.split(':')).find(([name]) => name === user);
}
