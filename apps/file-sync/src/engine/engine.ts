import { join } from 'node:path';
import type { FileDifferences, FileSetStates, PeerIdentity } from '@understudy/contracts';
import type { FileSetConfiguration } from '@understudy/platform';
import { DIRECTION_VALID_MS, type Direction, NOT_KNOWN } from '../domain/direction.ts';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { FileSet } from './file-set.ts';
import { makePause } from './pace.ts';
import { PeerClient } from './peer-client.ts';
import { type OwnSide, PeerServer } from './peer-server.ts';
import { reasonOf } from './scanner.ts';
import type { Incident } from './set-report.ts';
import { SetSync } from './set-sync.ts';
import { type SyncFileSystem, syncFileSystem } from './staging.ts';
import { StateFile } from './state-file.ts';

/** What the engine needs to know of this server. */
export interface EngineSettings {
  readonly fileSets: readonly FileSetConfiguration[];
  readonly own: OwnSide;
  /** Directory for what is known of the sets. */
  readonly stateDirectory: string;
  /** Directory below which files are kept that would be lost. */
  readonly setAside: string;
}

/** What the engine tells. */
export interface EngineEvents {
  incident(incident: Incident): void;
  /** A set of this server, which is active, has changed. */
  changed(fileSet: string): void;
  /** A run has ended, or the direction has changed. */
  observed(): void;
}

/** Places where tests put their own. */
export interface EngineSeams {
  readonly calls?: FileCalls;
  readonly sync?: SyncFileSystem;
  /** See `ScannerParts`. */
  readonly partMs?: number;
}

const LISTEN_AGAIN_MS = 1000;

/** Keeps the file sets of this server the same as those of its peer, in the direction that it is told. */
export class FileSyncEngine {
  private readonly sets = new Map<string, SetSync>();
  private told: Direction = NOT_KNOWN;
  private toldAtMs = Number.NEGATIVE_INFINITY;
  /** The application has stopped, the role has not moved: what was written last may still be sent. */
  private handingOver: { readonly epoch: number; readonly untilMs: number } | null = null;
  private peer: PeerIdentity | null = null;
  private own: OwnSide;
  private server: PeerServer | null = null;
  private client: PeerClient | null = null;
  private changing: Promise<void> = Promise.resolve();
  private readonly watchdog: NodeJS.Timeout;
  private isClosed = false;

  private constructor(
    settings: EngineSettings,
    private readonly events: EngineEvents,
    seams: EngineSeams,
  ) {
    this.own = settings.own;
    const pause = makePause();
    const calls = seams.calls ?? FILE_CALLS;
    for (const configuration of settings.fileSets) {
      const sync = new SetSync(
        new FileSet(configuration, calls, pause, seams.partMs),
        new StateFile(join(settings.stateDirectory, `${configuration.name}.jsonl`)),
        {
          direction: () => this.direction,
          client: () => this.client,
          tell: (incident) => events.incident(incident),
          announce: (fileSet) => events.changed(fileSet),
          observed: () => events.observed(),
          setAside: settings.setAside,
          sync: seams.sync ?? syncFileSystem,
          pause,
        },
      );
      this.sets.set(configuration.name, sync);
    }
    this.watchdog = setInterval(() => this.turn(), 1000);
  }

  /** Reads what earlier runs knew. Nothing moves before a peer and a direction are told. */
  static async open(settings: EngineSettings, events: EngineEvents, seams: EngineSeams = {}): Promise<FileSyncEngine> {
    const engine = new FileSyncEngine(settings, events, seams);
    for (const sync of engine.sets.values()) await sync.load();
    return engine;
  }

  /** The direction as told last; `unknown` when that was too long ago. */
  get direction(): Direction {
    const { handingOver } = this;
    if (handingOver !== null && handingOver.epoch >= this.told.epoch && performance.now() <= handingOver.untilMs)
      return { way: 'sends', epoch: handingOver.epoch, reason: '' };
    if (performance.now() - this.toldAtMs <= DIRECTION_VALID_MS) return this.told;
    return { ...NOT_KNOWN, epoch: this.told.epoch };
  }

  /** What the health monitor says; has to be repeated more often than every `DIRECTION_VALID_MS`. */
  setDirection(direction: Direction): void {
    this.told = direction;
    this.toldAtMs = performance.now();
    for (const sync of this.sets.values()) sync.heard();
    this.turn();
  }

  /** The pinned peer, null for none, and this server's own certificate. Takes effect after what is under way on the connections has been broken off. */
  setPeer(peer: PeerIdentity | null, own: OwnSide = this.own): Promise<void> {
    this.changing = this.changing.then(() => this.changePeer(peer, own));
    return this.changing;
  }

  /** The peer, which is active, says that a set has changed. */
  peerChanged(fileSet: string): void {
    this.sets.get(fileSet)?.peerChanged();
  }

  status(): FileSetStates {
    return { fileSets: [...this.sets.values()].map((sync) => sync.status()) };
  }

  /** What differs between the servers in a set; undefined: no such set. */
  differences(fileSet: string): FileDifferences | undefined {
    return this.sets.get(fileSet)?.differences();
  }

  /** An operator confirms that files of a set may go. The number of them; null: nothing waits; undefined: no such set. */
  confirmDeletion(fileSet: string): number | null | undefined {
    return this.sets.get(fileSet)?.confirm();
  }

  /**
   * The application has stopped for a switch, and this server still owns the role under `epoch`: sends until the peer has everything.
   * Resolves with what it has not got when the time is over, one sentence for each set.
   * @param without sets that the peer does not have: they are not waited for
   */
  async handOver(epoch: number, limitMs: number, without: readonly string[] = []): Promise<string[]> {
    this.handingOver = { epoch, untilMs: performance.now() + limitMs };
    this.turn();
    try {
      const missing = await Promise.all(
        [...this.sets].map(([name, sync]) =>
          without.includes(name) ? `${name}: the peer has no file set of this name` : sync.handOver(limitMs),
        ),
      );
      return missing.filter((sentence) => sentence !== null);
    } finally {
      this.handingOver = null;
      this.turn();
    }
  }

  /** Fetches a set now, for tests; resolves when that is done or has failed. */
  fetch(fileSet: string): Promise<void> {
    return this.sets.get(fileSet)?.fetch(true) ?? Promise.resolve();
  }

  /** Ends it in an orderly way: what is known is kept, what was half received is taken up again. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearInterval(this.watchdog);
    await this.changing;
    await this.server?.close();
    await Promise.all([...this.sets.values()].map((sync) => sync.close()));
    this.client?.close();
  }

  private turn(): void {
    const { direction } = this;
    const way = this.peer === null ? NOT_KNOWN : direction;
    for (const sync of this.sets.values()) sync.turned(way);
  }

  private async changePeer(peer: PeerIdentity | null, own: OwnSide): Promise<void> {
    if (JSON.stringify([peer, own]) === JSON.stringify([this.peer, this.own])) return;
    // what is under way is with the former one
    this.peer = null;
    this.client?.close();
    this.client = null;
    this.turn();
    await this.server?.close();
    this.server = null;
    this.own = own;
    this.peer = peer;
    this.client = peer && new PeerClient(own, peer);
    if (peer !== null) for (const sync of this.sets.values()) sync.paired(peer.pairId);
    this.turn();
    if (peer !== null && this.sets.size > 0) await this.listen(peer);
  }

  private async listen(peer: PeerIdentity): Promise<void> {
    const server = new PeerServer(this.own, peer, {
      direction: () => this.direction,
      set: (name) => this.sets.get(name)?.set,
      peerHas: (set, generation) => this.sets.get(set.name)?.peerHas(generation),
      scanned: (set) => this.sets.get(set.name)?.scanAll() ?? Promise.resolve(),
    });
    try {
      await server.listen();
      this.server = server;
    } catch (error) {
      await server.close();
      const { address, port } = this.own;
      const message = `files cannot be given to the peer: ${address}:${port} (ports.fileSync): ${reasonOf(error)}`;
      this.events.incident({ severity: 'warning', code: 'file-sync-port', message });
      const again = () => {
        if (!this.isClosed && this.peer === peer && this.server === null)
          this.changing = this.changing.then(() => this.listenAgain(peer));
      };
      setTimeout(again, LISTEN_AGAIN_MS).unref();
    }
  }

  private async listenAgain(peer: PeerIdentity): Promise<void> {
    if (!this.isClosed && this.peer === peer && this.server === null) await this.listen(peer);
  }
}
