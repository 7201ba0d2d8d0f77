import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type DatabaseTaskResult, formatLsn, type PeerIdentity } from '@understudy/contracts';
import { processStartTime } from '@understudy/platform';
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
import { type Before, DirectorySwap } from './directory-swap.ts';
import { awaitCheckpointOn, examinePeer } from './peer-source.ts';
import type { Postmaster } from './postmaster.ts';
import { setAside } from './set-aside.ts';

/** A standby that has not begun to stream and replays nothing for so long needs a stronger remedy. */
const NO_STREAM_LIMIT_MS = 20_000;

/** The peer may not have noticed yet that our last connection is gone, and then holds our slot for it. */
const SLOT_BUSY_LIMIT_MS = 20_000;

type Found = Partial<DatabaseTaskResult>;

/** How this server's data directory becomes a streaming standby of the peer: follow, rewind, or copy, the gentlest that works. */
export class Rejoin {
  private readonly swap: DirectorySwap;

  constructor(
    private readonly settings: EngineSettings,
    private readonly programs: Programs,
    private readonly configuration: ConfigurationFiles,
    private readonly directory: DataDirectory,
    private readonly postmaster: Postmaster,
    private readonly events: EngineEvents,
    /** Remembers what PostgreSQL shall do from now on, durably. */
    private readonly intend: (desired: 'standby' | 'stopped') => Promise<void>,
  ) {
    this.swap = new DirectorySwap(settings.dataDirectory);
  }

  /** What is in place is a copy that nobody has worked with yet. */
  get holdsCopy(): boolean {
    return this.swap.replaced !== null;
  }

  /** At the start of the service: programs that nobody waits for are ended, and a swap that was interrupted is finished or undone. */
  async recover(): Promise<void> {
    await this.endPrograms();
    await this.swap.recover();
  }

  /** Undoes a copy: the directory from before comes back, or there is none again. No copy: nothing is touched. */
  async discard(): Promise<void> {
    await this.swap.discard();
    await this.directory.markHalfDone(false);
  }

  /** The database in place is worked with from now on. */
  async adoptCopy(): Promise<void> {
    await this.swap.adopt();
  }

  /** The whole procedure. Nothing here is stopped or touched before the peer has proven that it can be followed. */
  async follow(
    peer: PeerIdentity,
    options: { forceCopy: boolean; awaySeconds: number | null },
    context: TaskContext,
  ): Promise<Found> {
    const server = this.peerServer(peer);
    context.step('asking the peer');
    await examinePeer(server);
    if (this.directory.isOccupied)
      throw new TaskFailure(
        'no-data',
        `${this.directory.path} is not empty and holds no database: move its content away`,
      );
    await this.intend('stopped');
    if (!this.directory.exists) return this.copy(peer, 'nothing', null, context);

    await this.stopOrderly(context);
    context.step('comparing histories');
    const own = await this.directory.past();
    // Asked again, because it wrote on, and streamed to us, until we stopped.
    const peerPast = await examinePeer(server);
    const plan = decideRejoin(own, peerPast, {
      forceCopy: options.forceCopy,
      awaySeconds: options.awaySeconds,
      retentionSeconds: this.settings.retentionSeconds,
    });
    const kept = plan.divergedFrom === null ? null : await this.keep(own, peerPast, plan, context);
    const found: Found = { setAside: kept?.folder ?? null, setAsideBytes: kept?.bytes ?? 0 };
    return { ...found, ...(await this.carryOut(plan, peer, server, peerPast, context)) };
  }

  private async carryOut(
    plan: RejoinPlan,
    peer: PeerIdentity,
    server: PeerServer,
    peerPast: PeerPast,
    context: TaskContext,
  ): Promise<Found> {
    if (plan.method === 'copy') return this.copy(peer, plan.isForeign ? 'foreign' : 'same', plan.reason, context);
    try {
      if (plan.method === 'rewind') await this.rewind(peer, server, peerPast, plan, context);
      else await this.stream(peer, context);
      return { method: plan.method };
    } catch (error) {
      context.signal.throwIfAborted();
      // A peer that is gone is no reason to throw away what is here.
      await examinePeer(server);
      const what = plan.method === 'rewind' ? 'the rewind failed' : 'following the peer as it is did not work';
      this.events.incident({
        severity: 'warning',
        code: `${plan.method}-failed`,
        message: `${what}, a full copy is made: ${messageOf(error)}`,
      });
      return this.copy(peer, 'same', what, context);
    }
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
    await this.intend('standby');
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
      if (row?.streaming === true) {
        await this.settle();
        return;
      }
      if (this.postmaster.running === null)
        throw new TaskFailure('start-failed', 'the standby ended while it was to stream');
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
    await this.swap.adopt();
    await this.directory.markHalfDone(false);
    await this.stream(peer, context);
  }

  /** A full copy beside the old directory, swapped in by renaming; the old one stays until the copy streams. */
  private async copy(peer: PeerIdentity, before: Before, reason: string | null, context: TaskContext): Promise<Found> {
    context.step(reason === null ? 'full copy' : `full copy: ${reason}`);
    await this.intend('stopped');
    await this.stopOrderly(context);
    await this.makeCopy(peer, context);
    context.step('putting the copy in place');
    await new DataDirectory(this.swap.copyPath, this.programs, `${this.swap.copyPath}.rewinding`).becomeStandby();
    await this.swap.putInPlace(before);
    await this.directory.markHalfDone(false);
    context.percent(null);
    try {
      await this.stream(peer, context);
    } catch (error) {
      context.signal.throwIfAborted();
      throw new TaskFailure('copy-failed', `the copy does not stream: ${messageOf(error)}`);
    }
    return { method: 'copy' };
  }

  private async makeCopy(peer: PeerIdentity, context: TaskContext): Promise<void> {
    const { copyRateLimitBytes } = this.settings;
    const connection = this.configuration.peerConnection(peer, { application_name: 'understudy-copy' });
    const args = [
      '-D',
      this.swap.copyPath,
      '-d',
      connection,
      '-X',
      'stream',
      '-S',
      PEER_SLOT,
      '-c',
      'fast',
      '-P',
      '-v',
      '-w',
    ];
    if (copyRateLimitBytes > 0) {
      args.push(`--max-rate=${Math.min(1024 ** 2, Math.max(32, Math.floor(copyRateLimitBytes / 1024)))}k`);
    }
    for (const until = performance.now() + SLOT_BUSY_LIMIT_MS; ; await delay(500)) {
      await this.endPrograms();
      await this.directory.prepareEmpty(this.swap.copyPath);
      try {
        const onLine = (line: string) => this.progressOf(line, context);
        await this.programs.run('pg_basebackup', args, { signal: context.signal, onLine });
        return;
      } catch (error) {
        context.signal.throwIfAborted();
        if (/slot .* is active/.test(messageOf(error)) && performance.now() < until) continue;
        await rm(this.swap.copyPath, { recursive: true, force: true });
        throw new TaskFailure('copy-failed', messageOf(error));
      }
    }
  }

  /** Ends what a killed run of this service left at work on our directories. */
  private async endPrograms(): Promise<void> {
    const left = [
      ...processesWithArgument('pg_basebackup', this.swap.copyPath),
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

  private async settle(): Promise<void> {
    const kept = await this.swap.settle();
    if (kept === null) return;
    this.events.incident({
      severity: 'warning',
      code: 'replaced-database-kept',
      message: `the database that this server had before is another one than the peer's; it is kept in ${kept}, remove it when it is not needed`,
    });
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
