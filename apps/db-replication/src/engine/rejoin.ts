import { setTimeout as delay } from 'node:timers/promises';
import { type DatabaseTaskResult, formatLsn, type PeerIdentity } from '@understudy/contracts';
import { isDiskFull } from '@understudy/platform';
import type { Programs } from '../adapters/programs.ts';
import { type PeerServer, withLocal } from '../adapters/sql.ts';
import { isCleanShutdown } from '../domain/control-data.ts';
import { decideRejoin, type OwnPast, type PeerPast, type RejoinPlan } from '../domain/rejoin-decision.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { ConfigurationFiles } from './configuration-files.ts';
import { DataDirectory } from './data-directory.ts';
import { type Before, DirectorySwap } from './directory-swap.ts';
import { FullCopy, reportProgress } from './full-copy.ts';
import { readOwnPast } from './own-past.ts';
import { awaitCheckpointOn, examinePeer, sizeOfPeer, unlessAborted } from './peer-source.ts';
import type { Postmaster } from './postmaster.ts';
import { setAside } from './set-aside.ts';
import { shielded } from './shielded.ts';

/** A standby that has not begun to stream and replays nothing for so long needs a stronger remedy. */
const NO_STREAM_LIMIT_MS = 20_000;
/** A full copy also brings WAL, and its server has to work. */
const SPARE_BYTES = 128 * 1024 * 1024;
/** Two segments of WAL: with less PostgreSQL does not work, whatever is done to its directory. */
const WORK_BYTES = 32 * 1024 * 1024;

type Found = Partial<DatabaseTaskResult>;

/** How this server's data directory becomes a streaming standby of the peer: follow, rewind, or copy, the gentlest that works. */
export class Rejoin {
  private readonly swap: DirectorySwap;
  private readonly fullCopy: FullCopy;

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
    this.fullCopy = new FullCopy(settings, programs, configuration, directory, this.swap.copyPath);
  }

  /** What is in place is a copy that nobody has worked with yet. */
  get holdsCopy(): boolean {
    return this.swap.replaced !== null;
  }

  /** At the start of the service: programs that nobody waits for are ended, and a swap that was interrupted is finished or undone. */
  async recover(): Promise<void> {
    await this.fullCopy.endPrograms();
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
    const server = await this.peerServer(peer);
    context.step('asking the peer');
    const { slotLost } = await examinePeer(server);
    const shape = await this.directory.shape();
    if (shape.isOccupied)
      throw new TaskFailure(
        'no-data',
        `${this.directory.path} is not empty and holds no database: move its content away`,
      );
    await this.intend('stopped');
    if (!shape.exists) return this.copy(server, 'nothing', null, context);

    await this.stopOrderly(context);
    await this.postmaster.endOrphans();
    // Neither the one server nor the other; what was this server's own was set aside before.
    if (shape.isHalfDone) return this.copy(server, 'same', 'an earlier rewind was interrupted', context);
    context.step('comparing histories');
    // Asked again, because it wrote on, and streamed to us, until we stopped.
    const peerPast = { ...(await examinePeer(server)), slotLost };
    const { plan, found } = await this.plan(peerPast, options, context);
    return { ...found, ...(await this.carryOut(plan, server, peerPast, options, context)) };
  }

  /** Decides, and sets aside what would be lost. A directory that cannot be read is kept as a whole. */
  private async plan(
    peerPast: PeerPast,
    options: { forceCopy: boolean; awaySeconds: number | null },
    context: TaskContext,
  ): Promise<{ plan: RejoinPlan; found: Found }> {
    let own: OwnPast;
    try {
      own = await readOwnPast(this.directory, peerPast, context);
    } catch (error) {
      context.signal.throwIfAborted();
      const reason = `the data directory cannot be read: ${messageOf(error)}`;
      return { plan: { method: 'copy', reason, divergedFrom: null, isForeign: true }, found: {} };
    }
    const plan = decideRejoin(own, peerPast, { ...options, retentionSeconds: this.settings.retentionSeconds });
    if (plan.divergedFrom === null) return { plan, found: {} };
    const { folder, bytes } = await this.keep(own, peerPast, plan, context);
    return { plan, found: { setAside: folder, setAsideBytes: bytes } };
  }

  private async carryOut(
    plan: RejoinPlan,
    server: PeerServer,
    peerPast: PeerPast,
    options: { awaySeconds: number | null },
    context: TaskContext,
  ): Promise<Found> {
    if (plan.method === 'copy') return this.copy(server, plan.isForeign ? 'foreign' : 'same', plan.reason, context);
    try {
      if (plan.method === 'rewind') await this.rewind(server, peerPast, plan, context);
      else await this.stream(server, peerPast.timeline, context);
      return { method: plan.method };
    } catch (error) {
      context.signal.throwIfAborted();
      // A peer that is gone is no reason to throw away what is here.
      await examinePeer(server);
      // nor is a full disk: as soon as there is room it goes on with what is here
      if (isDiskFull(error) || (await this.swap.room()) < WORK_BYTES)
        throw new TaskFailure('start-failed', `the disk of ${this.directory.path} is full: ${messageOf(error)}`);
      const what = plan.method === 'rewind' ? 'the rewind failed' : 'following the peer as it is did not work';
      this.events.incident({
        severity: 'warning',
        code: `${plan.method}-failed`,
        message: `${what}, a full copy is made: ${messageOf(error)}`,
      });
      if (plan.method === 'rewind') return this.copy(server, 'same', what, context);
      // Law 8: it may be further than it seemed, which would be why it cannot follow.
      await this.stopOrderly(context);
      const again = await this.plan(peerPast, { ...options, forceCopy: true }, context);
      return { ...again.found, ...(await this.copy(server, again.plan.isForeign ? 'foreign' : 'same', what, context)) };
    }
  }

  private async keep(own: OwnPast, peer: PeerPast, plan: RejoinPlan, context: TaskContext) {
    context.step('setting aside what exists on this server only');
    const kept = await setAside(this.settings.paths.setAside, this.directory, own, peer, plan, context);
    this.events.incident({
      severity: 'warning',
      code: 'diverged-data-set-aside',
      message: `${kept.bytes} bytes of WAL${kept.commits === null ? '' : ` with ${kept.commits} committed transactions`}, written on this server only (from ${plan.divergedFrom ? formatLsn(plan.divergedFrom.lsn) : 'the beginning'}) are set aside in ${kept.folder}`,
    });
    return kept;
  }

  /** Starts the directory as a standby and waits until it streams, on the peer's timeline. */
  private async stream({ peer }: PeerServer, timeline: number, context: TaskContext): Promise<void> {
    context.step('starting as a standby');
    await this.directory.becomeStandby();
    await this.directory.cleanSettings();
    await this.configuration.render({
      peer,
      isStandby: true,
      sourceRetired: false,
      capacity: (await this.directory.control()).capacity,
      commitsWait: false,
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
          `select coalesce((select status = 'streaming' and received_tli >= ${timeline} from pg_stat_wal_receiver), false) as streaming, pg_last_wal_replay_lsn()::text as lsn`,
        ),
      ).catch(() => []);
      if (row?.streaming === true) {
        await this.settle();
        return;
      }
      if (this.postmaster.running === null)
        throw new TaskFailure('start-failed', 'the standby ended while it was to stream');
      if (await this.postmaster.logSinceLaunch(/requested WAL segment \S+ has already been removed/))
        throw new TaskFailure('start-failed', 'the peer does not have the WAL any more that this server needs');
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

  private async rewind(server: PeerServer, peerPast: PeerPast, plan: RejoinPlan, context: TaskContext): Promise<void> {
    context.step(`rewinding: ${plan.reason}`);
    await awaitCheckpointOn(server, peerPast.timeline, context.signal, () => context.advance(1));
    if (!isCleanShutdown(await this.directory.control())) await this.recoverFromCrash(context);
    await this.directory.markHalfDone(true);
    const source = this.configuration.peerConnection(server.peer, { dbname: 'postgres' });
    const args = ['-D', this.directory.path, '--progress', `--source-server=${source}`];
    // One that is stopped half way leaves nothing but a full copy to do.
    await shielded(context, ({ signal, worked }) => {
      const onLine = (line: string) => {
        worked();
        reportProgress(line, context);
      };
      return this.programs.run('pg_rewind', args, { signal, onLine });
    });
    await this.directory.becomeStandby();
    await this.directory.cleanSettings();
    await this.swap.adopt();
    await this.directory.markHalfDone(false);
    context.signal.throwIfAborted();
    await this.stream(server, peerPast.timeline, context);
  }

  /** A full copy beside the old directory, swapped in by renaming; the old one stays until the copy streams. */
  private async copy(server: PeerServer, before: Before, reason: string | null, context: TaskContext): Promise<Found> {
    context.step(reason === null ? 'full copy' : `full copy: ${reason}`);
    await this.intend('stopped');
    await this.stopOrderly(context);
    await this.makeCopy(server, before, context);
    context.step('putting the copy in place');
    await new DataDirectory(this.swap.copyPath, this.programs, `${this.swap.copyPath}.rewinding`).becomeStandby();
    await this.swap.putInPlace(before);
    await this.directory.markHalfDone(false);
    context.percent(null);
    try {
      await this.stream(server, (await examinePeer(server)).timeline, context);
    } catch (error) {
      context.signal.throwIfAborted();
      throw new TaskFailure('copy-failed', `the copy does not stream: ${messageOf(error)}`);
    }
    return { method: 'copy' };
  }

  /** Fails with `copy-not-made` when the old directory is as it was: it can still be worked with. */
  private async makeCopy(server: PeerServer, before: Before, context: TaskContext): Promise<void> {
    try {
      await this.makeRoom(server, before, context);
      await this.fullCopy.make(server.peer, context);
    } catch (error) {
      const { exists, isHalfDone } = await this.directory.shape();
      if (!(error instanceof TaskFailure) || error.code !== 'copy-failed' || !exists || isHalfDone) throw error;
      throw new TaskFailure('copy-not-made', error.message);
    }
  }

  /** Room for a copy beside the old directory. Where there is none the old one goes first, unless it is the only place of its data. */
  private async makeRoom(server: PeerServer, before: Before, context: TaskContext): Promise<void> {
    const needed = await unlessAborted(context.signal, sizeOfPeer(server));
    if (needed === null || (await this.swap.room()) > needed + SPARE_BYTES) return;
    // not for nothing: it may be the only copy that is left
    if (before === 'same' && (await this.swap.room()) + (await this.swap.sizeOfOld()) > needed + SPARE_BYTES) {
      context.step('deleting the old directory first: there is no room for two');
      const message = `A full copy of ${needed} bytes has no room beside the old directory, which is deleted first`;
      this.events.incident({ severity: 'warning', code: 'copy-without-net', message });
      await this.swap.deleteOld();
    }
    const room = await this.swap.room();
    if (room > needed) return;
    throw new TaskFailure(
      'copy-failed',
      `a full copy needs ${needed} bytes beside ${this.directory.path}, there are ${room}`,
    );
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
    if ((await this.postmaster.locate()) === null) return;
    context.step('stopping PostgreSQL');
    await this.postmaster.shutDown(context);
  }

  /**
   * Replays the crashed directory's own WAL, alone and without connections, so that it ends in an orderly shutdown. It removes and
   * archives none of it: the rewind needs it back to the last common checkpoint.
   */
  private async recoverFromCrash(context: TaskContext): Promise<void> {
    context.step('recovering from the crash first');
    const keepAll = ['-c', 'wal_keep_size=1TB', '-c', 'archive_mode=off'];
    const args = ['--single', '-D', this.directory.path, ...this.configuration.serverArguments, ...keepAll, 'postgres'];
    await this.programs.run('postgres', args, { signal: context.signal, onLine: () => context.advance(1) });
  }

  private async peerServer(peer: PeerIdentity): Promise<PeerServer> {
    const own = await this.configuration.readIdentity();
    if (own === null) throw new TaskFailure('internal', 'this server has no certificate');
    return { peer, certificatePem: own.certificate, privateKeyPem: own.key };
  }
}
