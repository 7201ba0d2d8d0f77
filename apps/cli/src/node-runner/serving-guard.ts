import { readFile } from 'node:fs/promises';
import { type Clock, type Logger, parseServingNote, type ServingNote, servingNoteFile } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll, signalAll } from './kill-all.ts';
import { ownPostmaster } from './own-postmaster.ts';
import type { PreparedNode } from './preparation.ts';
import { VirtualIpRemoval } from './virtual-ip-removal.ts';

const LOOK_MS = 100;
/** Who looks again only after that has stood still himself, and has to read first what was noted meanwhile. */
const STANDSTILL_MS = 500;
const READ_MS = 300;

/** What is guarded. */
export interface GuardedServer {
  /** Written by the health monitor. */
  readonly rightFile: string;
  readonly runId: string;
  readonly dataDirectory: string;
  readonly databaseDirectory: string;
}

/** The guard of a server, or of what of it runs in the container of its runner. */
export function guardOf({ configuration, paths, runId }: PreparedNode, clock: Clock, logger: Logger): ServingGuard {
  const { dataDirectory } = paths;
  const databaseDirectory = configuration.database.dataDirectory;
  const rightFile = servingNoteFile(paths.run);
  return new ServingGuard({ rightFile, runId, dataDirectory, databaseDirectory }, clock, logger);
}

/**
 * Closes a server whose right to serve has ended and whose health monitor does not close it, because it hangs or is dead: ends the
 * application and PostgreSQL, and takes the virtual IP away, again and again until the health monitor is back and says that nothing is
 * served, or that it may be.
 * Decision: docs/decisions/0011-witness.md.
 */
export class ServingGuard {
  private timer: NodeJS.Timeout | undefined;
  private note: ServingNote | null = null;
  private readonly removal = new VirtualIpRemoval();
  private reading = false;
  private isOver = false;
  private lookedAtMs: number | null = null;
  private judgesFromMs = 0;

  constructor(
    private readonly server: GuardedServer,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** A disk that hangs holds up the reading only: what was read last counts. */
  private look(): void {
    if (!this.reading) {
      this.reading = true;
      void this.read().finally(() => {
        this.reading = false;
      });
    }
    const nowMs = this.clock.nowMs();
    if (this.lookedAtMs !== null && nowMs - this.lookedAtMs > STANDSTILL_MS) this.judgesFromMs = nowMs + READ_MS;
    this.lookedAtMs = nowMs;
    const untilMs = this.note?.untilMs ?? null;
    const isOver = nowMs >= this.judgesFromMs && untilMs !== null && nowMs > untilMs;
    const isFirst = isOver && !this.isOver;
    if (isFirst)
      this.logger.error('The right to serve has ended and the health monitor has not closed this server: closing it');
    this.isOver = isOver;
    if (isOver) this.close(isFirst);
  }

  private async read(): Promise<void> {
    try {
      const note = await readFile(this.server.rightFile, 'utf8');
      this.note = parseServingNote(note, this.server.runId);
    } catch {
      // nothing was noted yet
    }
  }

  /**
   * What was acknowledged shall reach a standby that is still connected: PostgreSQL gets the time of one look for a fast shutdown, which
   * also tells the clients of the virtual IP.
   */
  private close(isFirst: boolean): void {
    killAll(applicationProcesses(this.server.dataDirectory));
    const postmaster = ownPostmaster(this.server.databaseDirectory);
    if (postmaster !== null) signalAll([postmaster], isFirst ? 'SIGINT' : 'SIGKILL');
    const virtualIp = this.note?.virtualIp ?? null;
    if (!isFirst && virtualIp !== null) this.removal.remove(virtualIp);
  }
}
