import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { messageOf } from '../domain/task-failure.ts';

/** The user as which PostgreSQL and its programs run; null: the user we are. */
export interface ProgramUser {
  readonly uid: number;
  readonly gid: number;
}

/** How a program ended. */
export interface ProgramOutcome {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  /** Ends the program after so long; for short ones. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Called for each line on stderr (long programs report their progress there). */
  readonly onErrorLine?: (line: string) => void;
  readonly input?: string;
}

const LONGEST_OUTPUT = 4 * 1024 * 1024;
const KILL_AFTER_MS = 2000;

/** Looks up the user for PostgreSQL. Only root can change user, and PostgreSQL refuses to run as root. Throws when it does not exist. */
export async function resolveProgramUser(osUser: string): Promise<ProgramUser | null> {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) =>
    new Promise<number>((resolve, reject) =>
      execFile('id', [flag, osUser], { timeout: 5000 }, (error, stdout) =>
        error
          ? reject(new Error(`database.osUser "${osUser}" is not a user of this machine: ${messageOf(error)}`))
          : resolve(Number(stdout)),
      ),
    );
  const [uid, gid] = await Promise.all([id('-u'), id('-g')]);
  if (uid === 0) throw new Error('database.osUser is root, which PostgreSQL refuses');
  return { uid, gid };
}

/** The environment of every program we start: nothing inherited that could redirect it (PG*), nor systemd's notification socket. */
export function programEnvironment(): NodeJS.ProcessEnv {
  const { PATH, TZ } = process.env;
  return { PATH: PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...(TZ ? { TZ } : {}) };
}

/** Runs PostgreSQL's own programs as its user. */
export class ProgramRunner {
  constructor(
    readonly binDirectory: string,
    readonly user: ProgramUser | null,
  ) {}

  /** Runs a program to its end. Rejects when it cannot be started, was aborted or outlived its deadline; never for an exit code. */
  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<ProgramOutcome> {
    return new Promise((resolve, reject) => {
      if (options.signal?.aborted) return reject(new Error(`${program} was not started: the task was replaced`));
      const child = spawn(join(this.binDirectory, program), args, {
        cwd: '/',
        env: programEnvironment(),
        stdio: ['pipe', 'pipe', 'pipe'],
        // Its own session: a signal to our group must not end a copy in the middle.
        detached: true,
        ...(this.user ?? {}),
      });
      const output = { stdout: '', stderr: '' };
      let endedBy: Error | null = null;
      const end = (reason: Error) => {
        endedBy ??= reason;
        endChild(child);
      };
      const timer = options.deadlineMs
        ? setTimeout(() => end(new Error(`${program} did not end within ${options.deadlineMs} ms`)), options.deadlineMs)
        : null;
      const onAbort = () => end(new Error(`${program} was stopped: the task was replaced`));
      options.signal?.addEventListener('abort', onAbort, { once: true });
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output.stdout = (output.stdout + text).slice(-LONGEST_OUTPUT);
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        output.stderr = (output.stderr + text).slice(-65_536);
        for (const line of text.split(/[\r\n]+/)) if (line !== '') options.onErrorLine?.(line);
      });
      child.stdin.on('error', () => undefined);
      child.stdin.end(options.input ?? '');
      const finish = (settle: () => void) => {
        if (timer) clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        settle();
      };
      child.on('error', (error) => finish(() => reject(new Error(`${program} cannot be run: ${error.message}`))));
      child.on('close', (code) => finish(() => (endedBy ? reject(endedBy) : resolve({ code, ...output }))));
    });
  }

  /** Runs a program that has to succeed and returns what it printed. */
  async output(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args, options);
    if (code !== 0) throw new Error(`${program} failed with ${code}: ${lastLines(stderr)}`);
    return stdout;
  }
}

/** The end of what a program complained, in one line. */
export function lastLines(text: string, count = 3): string {
  return text.trim().split('\n').slice(-count).join(' | ').slice(-1000);
}

function endChild(child: ChildProcess): void {
  child.kill('SIGTERM');
  setTimeout(
    () => child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'),
    KILL_AFTER_MS,
  ).unref();
}
