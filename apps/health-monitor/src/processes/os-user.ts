import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const ANSWER_MS = 5000;

/** A user of this machine, as whom a command runs. */
export interface Account {
  readonly user: string;
  /** Id of its own group. */
  readonly group: string;
  readonly home: string;
  readonly shell: string;
}

/** The user of that name, of whom a directory service may know. Rejects when there is none. `program`: asks for it. */
export async function accountOf(user: string, program = 'getent'): Promise<Account> {
  const answer = await promisify(execFile)(program, ['passwd', user], { timeout: ANSWER_MS }).catch(() => null);
  const [, , , group, , home, shell] = answer?.stdout.trimEnd().split(':') ?? [];
  if (!group || home === undefined) throw new Error(`there is no operating system user "${user}"`);
  return { user, group, home, shell: shell || '/bin/sh' };
}

/** The command as that user runs it, in the same process: setpriv replaces itself. */
export function commandAs({ user, group }: Account, command: readonly string[]): readonly string[] {
  return ['setpriv', '--reuid', user, '--regid', group, '--init-groups', '--', ...command];
}

/** What a program learns about its own user, in place of what it would learn about ours. */
export function environmentAs({ user, home, shell }: Account): Readonly<Record<string, string>> {
  return { USER: user, LOGNAME: user, HOME: home, SHELL: shell };
}
