import { readFileSync } from 'node:fs';

/** The command as another user runs it, in the same process: setpriv replaces itself. No user, or not root: the command as it is. */
export function commandAs(user: string | undefined, command: readonly string[]): readonly string[] {
  if (user === undefined || process.getuid?.() !== 0) return command;
  return ['setpriv', '--reuid', user, '--regid', groupOf(user), '--init-groups', '--', ...command];
}

/** The user's own group. Throws when there is no such user. */
function groupOf(user: string): string {
  const entries = readFileSync('/etc/passwd', 'utf8').split('\n');
  const entry = entries.map((line) => line.split(':')).find(([name]) => name === user);
  if (entry?.[3] === undefined) throw new Error(`there is no operating system user "${user}"`);
  return entry[3];
}
