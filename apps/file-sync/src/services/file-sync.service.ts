import {
  type FileDifferences,
  FileSyncIncident,
  FileSyncObserved,
  FilesChanged,
  type FilesView,
  OwnStatusChanged,
  StatusQuery,
} from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import { type Direction, directionOf } from '../domain/direction.ts';
import type { Engine, EngineIncident } from '../ports/engine.port.ts';

const LOOK_MS = 1000;
const ANSWER_LIMIT_MS = 1000;
const HELD_MAX = 100;

/** Stands between the bus and the engine: tells it the direction and what the peer announces, and passes on what it has to tell. */
export class FileSyncService {
  private latest: FilesView = { fileSets: [] };
  private held: EngineIncident[] = [];
  private isMonitorThere = false;
  private timer: NodeJS.Timeout | null = null;
  private isLooking = false;

  /** @param engine null: no file sets are configured */
  constructor(
    private readonly bus: Bus,
    private readonly engine: Engine | null,
  ) {}

  /** Begins to listen, and to ask for the direction. */
  start(): void {
    if (this.engine === null) return;
    this.bus.subscribe(FilesChanged, ({ fileSet }) => this.engine?.peerChanged(fileSet));
    this.bus.subscribe(OwnStatusChanged, () => this.look());
    this.timer = setInterval(() => void this.look(), LOOK_MS);
    void this.look();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
  }

  get view(): FilesView {
    return this.latest;
  }

  /** What differs between the servers. Throws BusError: `unknown-set`. */
  async differences(fileSet: string): Promise<FileDifferences> {
    const differences = await this.engine?.differences(fileSet);
    if (differences === undefined) throw unknownSet(fileSet);
    return differences;
  }

  /** Throws BusError: `unknown-set`, `nothing-to-confirm`. */
  async confirmDeletion(fileSet: string): Promise<{ deletions: number }> {
    const deletions = await this.engine?.confirmDeletion(fileSet);
    if (deletions === undefined) throw unknownSet(fileSet);
    if (deletions === null)
      throw new BusError('nothing-to-confirm', `${fileSet}: no deletion waits for a confirmation on this server`);
    return { deletions };
  }

  /** The application has stopped for a switch: waits until the peer has everything. */
  async handOver(epoch: number, limitMs: number): Promise<{ missing: string[] }> {
    return { missing: (await this.engine?.handOver(epoch, limitMs)) ?? [] };
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

  observed(view: FilesView): void {
    this.latest = view;
    this.bus.publish(FileSyncObserved, view);
  }

  /** Asks the health monitor who is active. No answer is no direction: what was told last ends by itself. */
  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      const { currentRole, epoch } = await this.bus.request(StatusQuery, {}, { timeoutMs: ANSWER_LIMIT_MS });
      this.take(directionOf(currentRole, epoch));
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
    } finally {
      this.isLooking = false;
    }
  }

  private take(direction: Direction): void {
    this.engine?.setDirection(direction);
    this.isMonitorThere = true;
    for (const incident of this.held.splice(0)) this.incident(incident);
  }
}

function unknownSet(fileSet: string): BusError {
  return new BusError('unknown-set', `no file set ${JSON.stringify(fileSet)} is configured on this server`);
}
