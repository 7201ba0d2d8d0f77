import {
  type FileDifferences,
  type FileSetStates,
  FileSetsTold,
  FileSyncIncident,
  FileSyncObserved,
  FilesChanged,
  type FilesView,
  OwnStatusChanged,
  StatusQuery,
} from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import { type Direction, directionOf } from '../domain/direction.ts';
import { fitting } from '../domain/fitting.ts';
import { missingThere, told, withPeer } from '../domain/peer-view.ts';
import type { Engine, EngineIncident } from '../ports/engine.port.ts';

const LOOK_MS = 1000;
const ANSWER_LIMIT_MS = 1000;
const HELD_MAX = 100;
const HEARD_VALID_MS = 10_000;

/** Stands between the bus and the engine: tells it the direction and what the peer announces, and passes on what it has to tell. */
export class FileSyncService {
  /** Null: the engine has not said anything yet. */
  private latest: FileSetStates | null;
  /** Sets of this server that the other one does not have, and of which people have been told. */
  private readonly unknownThere = new Set<string>();
  private heard: { readonly told: FileSetsTold; readonly atMs: number } | null = null;
  private held: EngineIncident[] = [];
  private isMonitorThere = false;
  private timer: NodeJS.Timeout | null = null;
  private isLooking = false;
  /** The status has changed since it was asked for. */
  private isOutdated = false;

  /** @param engine null: no file sets are configured */
  constructor(
    private readonly bus: Bus,
    private readonly engine: Engine | null,
  ) {
    this.latest = engine === null ? { fileSets: [] } : null;
  }

  /** Begins to listen, and to ask for the direction. */
  start(): void {
    this.bus.subscribe(FilesChanged, ({ fileSet }) => this.engine?.peerChanged(fileSet));
    this.bus.subscribe(FileSetsTold, ({ fileSets }) => {
      const heard = { fileSets: fitting(fileSets) };
      this.heard = { told: heard, atMs: performance.now() };
      this.compare(heard);
    });
    this.bus.subscribe(OwnStatusChanged, () => {
      this.isOutdated = true;
      void this.look();
    });
    this.timer = setInterval(() => {
      // one that begins would seem to have no sets
      if (this.latest !== null) this.bus.publish(FileSetsTold, told(this.latest));
      void this.look();
    }, LOOK_MS);
    void this.look();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
  }

  /** Throws BusError `not-ready`. */
  get view(): FilesView {
    if (this.latest === null)
      throw new BusError('not-ready', 'the file sets are not known yet: file-sync reads what it has kept of them');
    return withPeer(this.latest, this.heardNow);
  }

  private get sets(): FileSetStates {
    return this.latest ?? { fileSets: [] };
  }

  /** What the other server has told; null: nothing, or too long ago. */
  private get heardNow(): FileSetsTold | null {
    const { heard } = this;
    return heard !== null && performance.now() - heard.atMs <= HEARD_VALID_MS ? heard.told : null;
  }

  /** What differs between the servers. Throws BusError: `unknown-set`. */
  async differences(fileSet: string): Promise<FileDifferences> {
    const differences = await this.engine?.differences(fileSet);
    if (differences === undefined) throw this.unknownSet(fileSet);
    return differences;
  }

  /** Throws BusError: `unknown-set`, `nothing-to-confirm`. */
  async confirmDeletion(fileSet: string): Promise<{ deletions: number }> {
    const deletions = await this.engine?.confirmDeletion(fileSet);
    if (deletions === undefined) throw this.unknownSet(fileSet);
    if (deletions === null)
      throw new BusError(
        'nothing-to-confirm',
        `${fileSet}: no deletion waits for a confirmation on this server; where one does "understudy files status" says so, on the standby`,
      );
    return { deletions };
  }

  /** The application has stopped for a switch: waits until the peer has everything. */
  async handOver(epoch: number, limitMs: number): Promise<{ missing: string[] }> {
    const heard = this.heardNow;
    const without = heard === null ? [] : missingThere(this.sets, heard);
    return { missing: (await this.engine?.handOver(epoch, limitMs, without)) ?? [] };
  }

  /** The engine has something for the event list; kept until there is somebody who keeps it. */
  incident(incident: EngineIncident): void {
    if (this.isMonitorThere && this.bus.publish(FileSyncIncident, incident)) return;
    if (this.held.length < HELD_MAX) this.held.push(incident);
  }

  /** A set of this server has changed. */
  changed(fileSet: string): void {
    this.bus.publish(FilesChanged, { fileSet });
  }

  observed({ fileSets }: FileSetStates): void {
    this.latest = { fileSets: fitting(fileSets) };
    this.bus.publish(FileSyncObserved, this.view);
  }

  /** Asks the health monitor who is active. No answer is no direction: what was told last ends by itself. */
  private async look(): Promise<void> {
    if (this.isLooking || this.engine === null) return;
    this.isLooking = true;
    try {
      do {
        this.isOutdated = false;
        const { currentRole, epoch } = await this.bus.request(StatusQuery, {}, { timeoutMs: ANSWER_LIMIT_MS });
        this.take(directionOf(currentRole, epoch));
      } while (this.isOutdated);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
    } finally {
      this.isLooking = false;
    }
  }

  /** What the standby has no set for it cannot tell of. */
  private compare(heard: FileSetsTold): void {
    const missing = missingThere(this.sets, heard);
    for (const { name, direction } of this.sets.fileSets) {
      const isUnknown = direction === 'sends' && missing.includes(name);
      if (isUnknown && !this.unknownThere.has(name))
        this.incident({
          severity: 'warning',
          code: 'file-set-unknown',
          message: `${name}: files are not synchronised: the standby has no file set of this name in its configuration`,
        });
      if (isUnknown) this.unknownThere.add(name);
      else this.unknownThere.delete(name);
    }
  }

  private unknownSet(fileSet: string): BusError {
    const names = this.sets.fileSets.map(({ name }) => name);
    const those = names.length === 0 ? '' : `; those are: ${names.join(', ')}`;
    return new BusError('unknown-set', `no file set ${JSON.stringify(fileSet)} is configured on this server${those}`);
  }

  private take(direction: Direction): void {
    this.engine?.setDirection(direction);
    this.isMonitorThere = true;
    for (const incident of this.held.splice(0)) this.incident(incident);
  }
}
