import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import { type Clock, type Logger, PeerIdentityFile } from '@understudy/platform';
import { Programs } from '../adapters/programs.ts';
import { type PeerServer, type Session, withLocal, withPeer } from '../adapters/sql.ts';
import { StateFile } from '../adapters/state-file.ts';
import { RestartPolicy } from '../domain/restart-policy.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';
import { ConfigurationFiles } from './configuration-files.ts';
import { DataDirectory } from './data-directory.ts';
import { Postmaster } from './postmaster.ts';

/** Death is noticed within this time, even of a postmaster that an earlier process of this service started. */
const WATCH_MS = 50;
const QUIET: TaskContext = {
  signal: new AbortController().signal,
  step: () => undefined,
  advance: () => undefined,
  percent: () => undefined,
};

/**
 * This server's PostgreSQL: its process, its directory, its configuration, and what it shall be doing. Tasks change what it shall
 * be; between tasks it is kept that way.
 */
export class Engine {
  readonly programs: Programs;
  readonly files: ConfigurationFiles;
  readonly directory: DataDirectory;
  readonly postmaster: Postmaster;
  readonly state: StateFile;
  readonly restarts = new RestartPolicy();
  peer: PeerIdentity | null = null;
  /** Called when something changed that others should know at once. */
  onChange: () => void = () => undefined;
  private starting: Promise<void> | null = null;
  private restarting = false;
  private wasRunning = false;
  private closed = false;
  private readonly stopFollowing: () => void;
  private readonly timer: NodeJS.Timeout;

  constructor(
    readonly settings: EngineSettings,
    readonly events: EngineEvents,
    readonly clock: Clock,
    readonly logger: Logger,
    peerFile: string,
  ) {
    const { paths } = settings;
    this.programs = new Programs(settings);
    this.files = new ConfigurationFiles(settings, this.programs, events);
    this.files.prepareDirectories();
    this.directory = new DataDirectory(settings.dataDirectory, this.programs, this.files.file('rewind-in-progress'));
    this.postmaster = new Postmaster(
      settings.dataDirectory,
      join(paths.logs, 'postgresql.log'),
      this.programs,
      this.files,
      clock,
    );
    this.state = new StateFile(join(paths.run, 'database-intent.json'), settings.runId);
    this.wasRunning = this.postmaster.adopt();
    this.postmaster.onExit = () => this.watch();
    this.stopFollowing = new PeerIdentityFile(peerFile, (value) => PeerIdentitySchema.parse(value)).follow(
      async (peer) => {
        this.peer = peer;
        await this.refresh();
      },
      (error) => this.logger.warn('The peer cannot be taken over', { reason: messageOf(error) }),
    );
    this.timer = setInterval(() => this.watch(), WATCH_MS);
  }

  /** Where the local server is reached. */
  get local(): { socketDirectory: string; port: number } {
    return { socketDirectory: this.settings.paths.sockets, port: this.settings.port };
  }

  get isExhausted(): boolean {
    return this.restarts.isExhausted(this.clock.nowMs());
  }

  /** Asks this server's PostgreSQL on a fresh connection. */
  ask<T>(work: (session: Session) => Promise<T>, deadlineMs = 5000): Promise<T> {
    return withLocal(this.local, deadlineMs, work);
  }

  /** The pinned peer and what proves who we are. Throws `not-paired`. */
  requirePeer(): PeerServer {
    const identity = this.files.readIdentity();
    if (!this.peer || !identity) throw new TaskFailure('not-paired', 'no peer is pinned');
    return { peer: this.peer, certificatePem: identity.certificate, privateKeyPem: identity.key };
  }

  /** Asks the peer's PostgreSQL. Throws `not-paired` or `peer-unreachable`. */
  async askPeer<T>(work: (session: Session) => Promise<T>, deadlineMs = 8000): Promise<T> {
    const server = this.requirePeer();
    try {
      return await withPeer(server, deadlineMs, work);
    } catch (error) {
      if (error instanceof TaskFailure) throw error;
      throw new TaskFailure(
        'peer-unreachable',
        `the PostgreSQL of ${server.peer.name} does not answer: ${messageOf(error)}`,
      );
    }
  }

  /** Renders the configuration for what lies in the directory, and lets a running server read it when it changed. */
  async refresh(): Promise<void> {
    const isStandby = this.directory.isStandby;
    const capacity = isStandby
      ? await this.directory.control().then(
          ({ capacity }) => capacity,
          () => null,
        )
      : null;
    const { sourceRetired } = this.state.current;
    const changed = await this.files.render({ peer: this.peer, isStandby, sourceRetired, capacity });
    if (changed) this.postmaster.reload();
  }

  /** Starts what is in the directory and keeps it running from then on. Throws `start-failed`, `foreign-postmaster`. */
  async start(context: TaskContext): Promise<void> {
    while (this.starting) await this.starting.catch(() => undefined);
    this.starting = this.startOnce(context);
    try {
      await this.starting;
    } finally {
      this.starting = null;
    }
    await this.state.update({ desired: this.directory.isStandby ? 'standby' : 'active' });
  }

  /** Stops it and keeps it stopped. True when it ended in order. */
  async stop(context: Pick<TaskContext, 'step' | 'advance'>): Promise<boolean> {
    await this.state.update({ desired: 'stopped' });
    // A start under way notices the end of its process by itself.
    const inOrder = await this.postmaster.stop(context);
    await this.starting?.catch(() => undefined);
    if (this.postmaster.adopt()) return this.postmaster.stop(context);
    this.restarts.reset();
    this.onChange();
    return inOrder;
  }

  /** Ends this object; PostgreSQL goes on, unless `stop` was called before. */
  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.stopFollowing();
  }

  private async startOnce(context: TaskContext): Promise<void> {
    if (this.directory.isHalfDone) {
      throw new TaskFailure(
        'start-failed',
        'a rewind of the data directory was interrupted; it needs a full copy of the peer',
      );
    }
    const removed = await this.directory.cleanSettings();
    if (removed.length > 0) this.logger.warn('Settings in postgresql.auto.conf were removed', { removed });
    await this.refresh();
    await this.postmaster.start(context);
    this.wasRunning = true;
    this.onChange();
  }

  /** Notices that the postmaster died, and starts it again in place. */
  private watch(): void {
    if (this.closed) return;
    const isRunning = this.postmaster.isRunning;
    const died = this.wasRunning && !isRunning;
    this.wasRunning = isRunning;
    if (died) this.onChange();
    const { desired } = this.state.current;
    if (isRunning || this.starting || this.restarting || desired === null || desired === 'stopped') return;
    this.restarting = true;
    void this.restart(died).finally(() => {
      this.restarting = false;
    });
  }

  private async restart(died: boolean): Promise<void> {
    if (died) {
      this.logger.error('PostgreSQL ended unexpectedly and is started again');
      this.failed('PostgreSQL ended unexpectedly and is started again');
    }
    try {
      await this.start(QUIET);
      this.logger.info('PostgreSQL runs again');
    } catch (error) {
      if (this.state.current.desired === 'stopped') return;
      this.logger.error('PostgreSQL could not be started', { reason: messageOf(error) });
      const waitMs = this.failed(messageOf(error));
      await delay(Math.max(waitMs, WATCH_MS));
    }
  }

  private failed(message: string): number {
    const wasExhausted = this.isExhausted;
    const waitMs = this.restarts.failed(this.clock.nowMs());
    if (!wasExhausted) {
      const exhausted = this.isExhausted;
      this.events.incident({
        severity: exhausted ? 'critical' : 'warning',
        code: exhausted ? 'restarts-exhausted' : 'postgresql-ended',
        message: exhausted ? `PostgreSQL cannot be kept running: ${message}` : message,
      });
    }
    this.onChange();
    return waitMs;
  }
}
