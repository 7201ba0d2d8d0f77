import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { EngineSettings } from '../ports/engine-settings.ts';

/** The operating system user for PostgreSQL's files and processes. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A program of PostgreSQL ended with an error; the message has the last lines it wrote. */
export class ProgramFailure extends Error {
  constructor(
    readonly program: string,
    readonly exitCode: number | null,
    readonly output: string,
  ) {
    super(
      `${program} ended with ${exitCode === null ? 'a signal' : `code ${exitCode}`}: ${output || 'it wrote nothing'}`,
    );
    this.name = 'ProgramFailure';
  }
}

/** What a run of a program may take. */
export interface RunOptions {
  /** Ends the program: SIGTERM, and SIGKILL two seconds later. */
  readonly signal?: AbortSignal;
  /** Longest run; then it is killed and the run fails. */
  readonly timeoutMs?: number;
  /** Gets each line of standard error as it comes. */
  readonly onLine?: (line: string) => void;
  /** Gets each line of standard output as it comes, which is then not kept. */
  readonly onOutputLine?: (line: string) => void;
}

const KEPT_OUTPUT = 4 * 1024 * 1024;

/** Runs PostgreSQL's programs as the user that owns its files, with an environment of their own. */
export class Programs {
  /** Null when we are not root: then everything belongs to us anyway. */
  readonly owner: Owner | null;

  /** Throws when we are root and the configured user does not exist. */
  constructor(private readonly settings: Pick<EngineSettings, 'binDirectory' | 'osUser'>) {
    this.owner = process.getuid?.() === 0 ? ownerOf(settings.osUser) : null;
  }

  path(program: string): string {
    return join(this.settings.binDirectory, program);
  }

  /** Nothing of ours leaks in: no NOTIFY_SOCKET (PostgreSQL would talk to systemd for us), no PG* variables. */
  get environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', HOME: '/nonexistent' };
  }

  /** Runs a program to its end; returns its standard output. Throws `ProgramFailure`, or the signal's reason. */
  async run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    options.signal?.throwIfAborted();
    const child = spawn(this.path(program), args, {
      cwd: '/',
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: pg_basebackup has a child that outlives it, and a signal to ours must not end a copy.
      detached: true,
      ...this.owner,
    });
    const output: string[] = [];
    const errors: string[] = [];
    let kept = 0;
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      if (options.onOutputLine) options.onOutputLine(line);
      else if (kept < KEPT_OUTPUT) {
        kept += line.length;
        output.push(line);
      }
    });
    createInterface({ input: child.stderr }).on('line', (line) => {
      errors.push(line);
      if (errors.length > 20) errors.shift();
      options.onLine?.(line);
    });
    let hasClosed = false;
    const signalAll = (signal: NodeJS.Signals) => {
      if (child.pid !== undefined && !hasClosed) signalGroup(child.pid, signal);
    };
    const stop = () => {
      signalAll('SIGTERM');
      setTimeout(() => signalAll('SIGKILL'), 2000).unref();
    };
    options.signal?.addEventListener('abort', stop, { once: true });
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(stop, options.timeoutMs);
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      });
      hasClosed = true;
      options.signal?.throwIfAborted();
      if (code !== 0) throw new ProgramFailure(program, code, errors.slice(-4).join(' | '));
      return output.join('\n');
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
    }
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function ownerOf(user: string): Owner {
  const id = (option: string): number =>
    Number(execFileSync('id', [option, user], { encoding: 'utf8', stdio: 'pipe' }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    throw new Error(`the operating system user ${user} (database.osUser) does not exist`);
  }
}
