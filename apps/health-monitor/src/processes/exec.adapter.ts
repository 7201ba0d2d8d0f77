import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync } from 'node:fs';
import type { Clock, ProcessConfiguration } from '@understudy/platform';
import { accountOf, commandAs, environmentAs } from './os-user.ts';
import type { KnownLeader, ProcessAdapter, Run } from './process-adapter.ts';
import { endAll } from './process-group.ts';
import { orGone } from './process-life.ts';
import { openLog, rotateLog } from './process-log.ts';
import { identify, membersOf, type ProcessIdentity } from './process-table.ts';

/** Where a command leaves its traces and what it is told. */
export interface ExecSurroundings {
  readonly logFile: string;
  /** Names the process on this machine; see `APPLICATION_MARK`. */
  readonly mark: string;
  /** Of our own environment. */
  readonly inherited: NodeJS.ProcessEnv;
  /** With the mark in it. */
  readonly told: Readonly<Record<string, string>>;
}

/** Runs a command in a session of its own, its output in a rotated log. */
export class ExecAdapter implements ProcessAdapter {
  readonly kind = 'exec';
  readonly digest: string;

  constructor(
    private readonly configuration: ProcessConfiguration,
    private readonly surroundings: ExecSurroundings,
    private readonly clock: Clock,
  ) {
    const { command, environment, user, workingDirectory } = configuration;
    const started = JSON.stringify([command, environment, user ?? null, workingDirectory ?? null]);
    this.digest = createHash('sha256').update(started).digest('hex');
  }

  async launch(signal: AbortSignal): Promise<Run> {
    const { command = [], user, workingDirectory = '/' } = this.configuration;
    const { logFile, inherited, told } = this.surroundings;
    // who is not root runs everything as itself
    const account = user !== undefined && process.getuid?.() === 0 ? await accountOf(user) : null;
    if (signal.aborted) throw new Error('it is not wanted any more');
    const [program = '', ...args] = account ? commandAs(account, command) : command;
    const startedAtMs = this.clock.nowMs();
    rotateLog(logFile);
    const log = openLog(logFile);
    try {
      const child = spawn(program, args, {
        detached: true, // a session, and with it a process group, of its own
        cwd: workingDirectory,
        env: { ...inherited, ...(account && environmentAs(account)), ...told },
        stdio: ['ignore', log, log],
      });
      child.unref();
      const ended = new Promise<string>((resolve) => {
        child.once('error', ({ message }) =>
          // Node.js would name the program
          resolve(existsSync(workingDirectory) ? message : `there is no directory ${workingDirectory}`),
        );
        child.once('exit', (code, by) => resolve(by ? `it was ended by ${by}` : `it ended with exit code ${code}`));
      });
      const identity = child.pid === undefined ? null : identify(child.pid);
      // Too quick for us, or not started at all: what it says comes with the event.
      if (!identity) return { identity, startedAtMs, ended };
      return { identity, startedAtMs, ended: orGone(identity, ended, signal) };
    } finally {
      closeSync(log);
    }
  }

  ended(identity: ProcessIdentity, signal: AbortSignal): Promise<string> {
    return orGone(identity, null, signal);
  }

  async end(graceMs: number, leader: KnownLeader | null): Promise<void> {
    const { mark } = this.surroundings;
    await endAll(() => membersOf(mark, leader?.identity ?? null, leader?.wasSeen ?? false), graceMs);
  }

  tidy(): void {
    rotateLog(this.surroundings.logFile);
  }
}
