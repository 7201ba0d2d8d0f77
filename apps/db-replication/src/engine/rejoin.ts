import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type DatabaseTaskResult, formatLsn, type PeerIdentity } from '@understudy/contracts';
import { syncDirectory } from '@understudy/platform';
import { processesWithArgument } from '../adapters/process-scan.ts';
import type { Programs } from '../adapters/programs.ts';
import { type PeerServer, withLocal } from '../adapters/sql.ts';
import { isCleanShutdown } from '../domain/control-data.ts';
import { parseCopyProgress } from '../domain/copy-progress.ts';
import { decideRejoin, type PeerPast, type RejoinPlan } from '../domain/rejoin-decision.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';
import { type ConfigurationFiles, PEER_SLOT } from './configuration-files.ts';
import { DataDirectory } from './data-directory.ts';
import { awaitCheckpointOn, examinePeer } from './peer-source.ts';
import type { Postmaster } from './postmaster.ts';
import { setAside } from './set-aside.ts';

/** A standby that has not begun to stream and replays nothing for so long needs a stronger remedy. */
const NO_STREAM_LIMIT_MS = 20_000;

type Found = Partial<DatabaseTaskResult>;

/** How this server's data directory becomes a streaming standby of the peer: follow, rewind, or copy, the gentlest that works. */
export class Rejoin {
  constructor(
    private readonly settings: EngineSettings,
    private readonly programs: Programs,
    private readonly configuration: ConfigurationFiles,
    private readonly directory: DataDirectory,
    private readonly postmaster: Postmaster,
    private readonly events: EngineEvents,
  ) {}

  private get copyPath(): string {
    return `${this.settings.dataDirectory}.copy`;
  }

  private get beforePath(): string {
    return `${this.settings.dataDirectory}.before`;
  }

  /** At the start of the service: a copy that nobody waits for is ended, and a swap that was interrupted is finished or undone. */
  async recover(): Promise<void> {
    for (const pid of processesWithArgument('pg_basebackup', this.copyPath)) process.kill(pid, 'SIGKILL');
    if (!this.directory.exists && existsSync(this.beforePath)) {
      await rm(this.settings.dataDirectory, { recursive: true, force: true });
      await rename(this.beforePath, this.settings.dataDirectory);
    }
    await rm(this.copyPath, { recursive: true, force: true });
  }

  /** Undoes a copy: the directory from before comes back, or there is none again. */
  async discard(): Promise<void> {
    await rm(this.copyPath, { recursive: true, force: true });
    await rm(this.settings.dataDirectory, { recursive: true, force: true });
    if (existsSync(this.beforePath)) await rename(this.beforePath, this.settings.dataDirectory);
    await syncDirectory(dirname(this.settings.dataDirectory));
  }

  /** The whole procedure. Nothing here is stopped or touched before the peer has proven that it can be followed. */
  async follow(
    peer: PeerIdentity,
    options: { forceCopy: boolean; awaySeconds: number | null },
    context: TaskContext,
  ): Promise<Found> {
    const server = this.peerServer(peer);
    context.step('asking the peer');
    const peerPast = await examinePeer(server);
    if (this.directory.isOccupied)
      throw new TaskFailure(
        'no-data',
        `${this.directory.path} is not empty and holds no database: move its content away`,
      );
    if (!this.directory.exists) return { ...(await this.copy(peer, null, context)), method: 'copy' };

    await this.stopOrderly(context);
    context.step('comparing histories');
    const own = await this.directory.past();
    const plan = decideRejoin(own, peerPast, {
      forceCopy: options.forceCopy,
      awaySeconds: options.awaySeconds,
      retentionSeconds: this.settings.retentionSeconds,
    });
    const kept = plan.divergedFrom === null && !plan.isForeign ? null : await this.keep(own, peerPast, plan, context);
    const found: Found = { setAside: kept?.folder ?? null, setAsideBytes: kept?.bytes ?? 0 };
    if (plan.method === 'follow') {
      try {
        await this.stream(peer, context);
        return { ...found, method: 'follow' };
      } catch (error) {
        context.signal.throwIfAborted();
        this.events.incident({
          severity: 'warning',
          code: 'follow-failed',
          message: `following the peer as it is did not work, a full copy is made: ${messageOf(error)}`,
        });
        return { ...found, ...(await this.copy(peer, 'following failed', context)), method: 'copy' };
      }
    }
    if (plan.method === 'rewind') {
      try {
        await this.rewind(peer, server, peerPast, plan, context);
        return { ...found, method: 'rewind' };
      } catch (error) {
        context.signal.throwIfAborted();
        this.events.incident({
          severity: 'warning',
          code: 'rewind-failed',
          message: `the rewind failed, a full copy is made: ${messageOf(error)}`,
        });
      }
    }
    return { ...found, ...(await this.copy(peer, plan.reason, context)), method: 'copy' };
  }

  private async keep(own: Parameters<typeof setAside>[2], peer: PeerPast, plan: RejoinPlan, context: TaskContext) {
    context.step('setting aside what exists on this server only');
    const kept = await setAside(this.settings.paths.setAside, this.directory, own, peer, plan);
    this.events.incident({
      severity: 'warning',
      code: 'diverged-data-set-aside',
      message: `${kept.bytes} bytes of WAL written on this server only (from ${plan.divergedFrom ? formatLsn(plan.divergedFrom.lsn) : 'the beginning'}) are set aside in ${kept.folder}`,
    });
    return kept;
  }

  /** Starts the directory as a standby and waits until it streams. */
  async stream(peer: PeerIdentity, context: TaskContext): Promise<void> {
    context.step('starting as a standby');
    await this.directory.becomeStandby();
    await this.directory.cleanSettings();
    await this.configuration.render({
      peer,
      isStandby: true,
      sourceRetired: false,
      capacity: (await this.directory.control()).capacity,
    });
    await this.postmaster.launch();
    await this.postmaster.ready(context);
    context.step('waiting for the stream');
    let position = '';
    let movedAtMs = performance.now();
    for (;;) {
      context.signal.throwIfAborted();
      const [row] = await withLocal(this.postmaster.local, 2000, (session) =>
        session.query(
          `select coalesce((select status = 'streaming' from pg_stat_wal_receiver), false) as streaming, pg_last_wal_replay_lsn()::text as lsn`,
        ),
      ).catch(() => []);
      if (row?.streaming === true) return;
      if (String(row?.lsn) !== position) {
        position = String(row?.lsn);
        movedAtMs = performance.now();
        context.advance(1);
      }
      if (performance.now() - movedAtMs > NO_STREAM_LIMIT_MS)
        throw new TaskFailure('start-failed', `the standby does not stream and stands at ${position}`);
      await delay(50);
    }
  }

  private async rewind(
    peer: PeerIdentity,
    server: PeerServer,
    peerPast: PeerPast,
    plan: RejoinPlan,
    context: TaskContext,
  ): Promise<void> {
    context.step(`rewinding: ${plan.reason}`);
    await awaitCheckpointOn(server, peerPast.timeline, context.signal, () => context.advance(1));
    if (!isCleanShutdown(await this.directory.control())) await this.recoverFromCrash(context);
    await this.directory.markHalfDone(true);
    await this.programs.run(
      'pg_rewind',
      [
        '-D',
        this.directory.path,
        '--progress',
        `--source-server=${this.configuration.peerConnection(peer, { dbname: 'postgres' })}`,
      ],
      { signal: context.signal, onLine: (line) => this.progressOf(line, context) },
    );
    await this.directory.becomeStandby();
    await this.directory.cleanSettings();
    await this.directory.markHalfDone(false);
    await this.stream(peer, context);
  }

  /** A full copy beside the old directory, swapped in by renaming; the old one stays until the copy streams. */
  private async copy(peer: PeerIdentity, reason: string | null, context: TaskContext): Promise<Found> {
    context.step(reason === null ? 'full copy' : `full copy: ${reason}`);
    for (const pid of processesWithArgument('pg_basebackup', this.copyPath)) process.kill(pid, 'SIGKILL');
    await this.directory.prepareEmpty(this.copyPath);
    const rate =
      this.settings.copyRateLimitBytes === 0
        ? []
        : [`--max-rate=${Math.max(32, Math.floor(this.settings.copyRateLimitBytes / 1024))}k`];
    try {
      await this.programs.run(
        'pg_basebackup',
        [
          '-D',
          this.copyPath,
          '-d',
          this.configuration.peerConnection(peer, { application_name: 'understudy-copy' }),
          '-X',
          'stream',
          '-S',
          PEER_SLOT,
          '-c',
          'fast',
          '-P',
          '-v',
          '-w',
          ...rate,
        ],
        { signal: context.signal, onLine: (line) => this.progressOf(line, context) },
      );
    } catch (error) {
      context.signal.throwIfAborted();
      await rm(this.copyPath, { recursive: true, force: true });
      throw new TaskFailure('copy-failed', messageOf(error));
    }
    context.step('putting the copy in place');
    await this.stopOrderly(context);
    await new DataDirectory(this.copyPath, this.programs, `${this.copyPath}.rewinding`).becomeStandby();
    if (existsSync(this.settings.dataDirectory)) {
      await rm(this.beforePath, { recursive: true, force: true });
      await rename(this.settings.dataDirectory, this.beforePath);
    }
    await rename(this.copyPath, this.settings.dataDirectory);
    await syncDirectory(dirname(this.settings.dataDirectory));
    await this.directory.markHalfDone(false);
    try {
      await this.stream(peer, context);
    } catch (error) {
      context.signal.throwIfAborted();
      throw new TaskFailure('copy-failed', `the copy does not stream: ${messageOf(error)}`);
    }
    await rm(this.beforePath, { recursive: true, force: true });
    return {};
  }

  private async stopOrderly(context: TaskContext): Promise<void> {
    if (this.postmaster.running === null) return;
    context.step('stopping PostgreSQL');
    await this.postmaster.shutDown(context);
  }

  /** Replays the crashed directory's own WAL, alone and without connections, so that it ends in an orderly shutdown. */
  private async recoverFromCrash(context: TaskContext): Promise<void> {
    context.step('recovering from the crash first');
    await this.programs.run(
      'postgres',
      ['--single', '-D', this.directory.path, ...this.configuration.serverArguments, 'postgres'],
      { signal: context.signal },
    );
  }

  private progressOf(line: string, context: TaskContext): void {
    const progress = parseCopyProgress(line);
    context.advance(1);
    if (progress) context.percent(progress.percent);
  }

  private peerServer(peer: PeerIdentity): PeerServer {
    const own = this.configuration.readIdentity();
    if (own === null) throw new TaskFailure('internal', 'this server has no certificate');
    return { peer, certificatePem: own.certificate, privateKeyPem: own.key };
  }
}
