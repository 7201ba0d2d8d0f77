import { existsSync } from 'node:fs';
import { type Clock, type Logger, type NodeConfiguration, processState } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll } from './kill-all.ts';
import type { PreparedNode } from './preparation.ts';
import type { SupervisedChild } from './supervised-child.ts';

const LOOK_MS = 500;
const SHORTEST_SILENCE_MS = 3000;
const LONGEST_SILENCE_MS = 5000;
/** So long clients of the virtual IP are cut off from an application without a manager before it is stopped. */
const UNMANAGED_LIMIT_MS = 60_000;

/** What is watched, and what belongs to it. */
export interface ManagedServer {
  /** A manager that is silent for longer hangs. */
  readonly silenceMs: number;
  /** Without any manager for longer the application is closed; null: it never is here. */
  readonly unmanagedMs: number | null;
  /** Present while the server belongs to a pair. */
  readonly peerFile: string;
  readonly dataDirectory: string;
}

/**
 * How long a manager may be silent, in milliseconds: a quarter of the time after which its peer takes a silent server for lost, between
 * 3 and 5 s. The next manager is there before a peer would act, and as a rule before the virtual IP has gone.
 */
export function managerSilenceMs({ intervalSeconds, missedLimit, graceSeconds }: NodeConfiguration['heartbeat']) {
  const untilLostMs = (intervalSeconds * missedLimit + graceSeconds) * 1000;
  return Math.min(LONGEST_SILENCE_MS, Math.max(SHORTEST_SILENCE_MS, untilLostMs / 4));
}

/** What of a server concerns the watch of its manager. */
export function managedServer({ configuration, paths }: PreparedNode): ManagedServer {
  const { heartbeat, virtualIp, witness } = configuration;
  // with a lease the guard closes the server; without a virtual IP clients still reach the application
  const isClosed = virtualIp !== undefined && witness?.kind !== 'nats';
  return {
    silenceMs: managerSilenceMs(heartbeat),
    unmanagedMs: isClosed ? UNMANAGED_LIMIT_MS : null,
    peerFile: paths.peer,
    dataDirectory: paths.dataDirectory,
  };
}

/**
 * Kills a health monitor whose main thread has stood still, so that a fresh one takes its place within seconds: the others may take
 * longer to be found out. Where none comes back, and the virtual IP is therefore gone, it closes the application, until one is back.
 * A machine that is merely busy is no reason: time in which this process was late itself, or the silent one waited for a CPU or for a
 * disk, does not count. One that runs in circles is left to the slower questions of the `Watchdog`.
 */
export class ManagerWatch {
  private timer: NodeJS.Timeout | undefined;
  private lookedAtMs: number | null = null;
  private pid: number | null = null;
  private heard = 0;
  private silentLooks = 0;
  private unmanagedLooks = 0;
  private isClosed = false;

  constructor(
    private readonly child: SupervisedChild,
    private readonly server: ManagedServer,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const nowMs = this.clock.nowMs();
    const wasLate = this.lookedAtMs !== null && nowMs - this.lookedAtMs > 2 * LOOK_MS;
    this.lookedAtMs = nowMs;
    const { pid, words } = this.child;
    if (pid !== this.pid) {
      this.pid = pid;
      this.heard = 0;
      this.silentLooks = 0;
    }
    if (words > this.heard) {
      this.heard = words;
      this.silentLooks = 0;
      this.unmanagedLooks = 0;
      this.isClosed = false;
    } else if (!wasLate) this.goesOnSilently();
    this.child.ping();
  }

  private goesOnSilently(): void {
    const { pid, child, server } = this;
    this.unmanagedLooks += 1;
    // its start is borne with patience by the watchdog
    const hangs = pid !== null && this.heard > 0 && !['R', 'D'].includes(processState(pid) ?? '');
    if (hangs) this.silentLooks += 1;
    if (this.silentLooks * LOOK_MS >= server.silenceMs) {
      child.replace(`its main thread has not answered for ${server.silenceMs} ms`, 'SIGKILL');
      this.silentLooks = 0;
    }
    const { unmanagedMs } = server;
    if (unmanagedMs !== null && this.unmanagedLooks * LOOK_MS >= unmanagedMs && existsSync(server.peerFile))
      this.closeApplication(unmanagedMs);
  }

  private closeApplication(unmanagedMs: number): void {
    if (!this.isClosed)
      this.logger.error(
        'No health monitor has answered for too long, and the virtual IP is gone: stopping the application',
        {
          limitMs: unmanagedMs,
        },
      );
    this.isClosed = true;
    killAll(applicationProcesses(this.server.dataDirectory));
  }
}
