import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { PeerIdentity } from '@understudy/contracts';
import { PEER_SLOT, processStartTime } from '@understudy/platform';
import { processesWithArgument } from '../adapters/process-scan.ts';
import type { Programs } from '../adapters/programs.ts';
import { parseCopyProgress } from '../domain/copy-progress.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { ConfigurationFiles } from './configuration-files.ts';
import type { DataDirectory } from './data-directory.ts';

/** The peer may not have noticed yet that our last connection is gone, and then holds our slot for it. */
const SLOT_BUSY_LIMIT_MS = 20_000;

/** Runs `pg_basebackup` into a directory of its own. */
export class FullCopy {
  constructor(
    private readonly settings: EngineSettings,
    private readonly programs: Programs,
    private readonly configuration: ConfigurationFiles,
    private readonly directory: DataDirectory,
    private readonly path: string,
  ) {}

  /** A whole copy of the peer at the path; what lay there is removed. Throws `copy-failed`, and leaves nothing then. */
  async make(peer: PeerIdentity, context: TaskContext): Promise<void> {
    const connection = this.configuration.peerConnection(peer, { application_name: 'understudy-copy' });
    const args = ['-D', this.path, '-d', connection, '-X', 'stream', '-S', PEER_SLOT, '-c', 'fast', '-P', '-v', '-w'];
    const { copyRateLimitBytes } = this.settings;
    if (copyRateLimitBytes > 0) {
      // Within the bounds that the program has.
      const kibibytes = Math.min(1024 ** 2, Math.max(32, Math.floor(copyRateLimitBytes / 1024)));
      args.push(`--max-rate=${kibibytes}k`);
    }
    for (const until = performance.now() + SLOT_BUSY_LIMIT_MS; ; await delay(500)) {
      await this.endPrograms();
      await this.directory.prepareEmpty(this.path);
      try {
        const onLine = (line: string) => reportProgress(line, context);
        await this.programs.run('pg_basebackup', args, { signal: context.signal, onLine });
        return;
      } catch (error) {
        const isSlotBusy = /slot .* is active/.test(messageOf(error));
        if (isSlotBusy && performance.now() < until && !context.signal.aborted) continue;
        await rm(this.path, { recursive: true, force: true });
        context.signal.throwIfAborted();
        throw new TaskFailure('copy-failed', messageOf(error));
      }
    }
  }

  /** Ends what a killed run of this service left at work on our directories. */
  async endPrograms(): Promise<void> {
    const left = [
      ...processesWithArgument('pg_basebackup', this.path),
      ...processesWithArgument('pg_rewind', this.settings.dataDirectory),
      ...processesWithArgument('initdb', `${this.settings.dataDirectory}.new`),
    ];
    for (const pid of left) {
      const startTime = processStartTime(pid);
      if (startTime === null) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        continue; // It ended meanwhile.
      }
      for (let look = 0; look < 500 && processStartTime(pid) === startTime; look++) await delay(10);
    }
  }
}

/** A line of the progress of pg_basebackup or pg_rewind, for people and as a sign of life. */
export function reportProgress(line: string, context: TaskContext): void {
  const progress = parseCopyProgress(line);
  context.advance(1);
  if (progress) context.percent(progress.percent);
}
