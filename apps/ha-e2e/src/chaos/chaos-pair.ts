import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicMs, pause } from '../real-pair/deadline.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import { RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';
import { SmallDisk } from '../real-pair/small-disk.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { WITNESS_SECTION, Witness } from '../real-pair/witness.ts';
import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';
import { EventStory } from './event-story.ts';
import { InitSystem } from './init-system.ts';
import { CREATE_TABLE, Observer } from './observer.ts';
import { type PairStatus, restOf } from './rest.ts';
import type { ChaosSettings } from './settings.ts';
import type { Victims } from './strike.ts';

const DISK_MEBIBYTES = 1024;
const LOOK_MS = 500;
/** A pair that looks at rest has to do so for longer than it needs to notice that something is wrong. */
const STAYS_AT_REST_MS = 7000;
const CLIENT_MUST_WRITE_WITHIN_MS = 2000;
/** Statuses are not of one moment: two that change places look active both for one look. */
const LOOKS_WITH_TWO_ACTIVES = 4;

/** A pair with its witness, disks of its own, a writing client, and observers that try to write to both servers all the time. */
export class ChaosPair implements Victims {
  readonly pair: RealPair;
  readonly witness: Witness | null;
  readonly init: InitSystem;
  readonly client: Observer;
  readonly observers: readonly Observer[];
  readonly stories: Readonly<Record<ServerName, EventStory>>;
  /** Moments at which both servers said that they are active and hear the other. */
  readonly twoActives: string[] = [];
  private readonly disks = new Map<UnderstudyServer, SmallDisk>();
  private looking: Promise<void> = Promise.resolve();
  private looksWithTwoActives = 0;
  private isOver = false;

  private constructor({ layout, hasWitness }: ChaosSettings) {
    const database = { ...DATABASE_SECTION, walKeepLimit: '256MiB' };
    const sections = { database, ...(hasWitness ? { witness: WITNESS_SECTION } : {}) };
    this.pair = new RealPair({ layout, heartbeat: TEST_TIMES, sections });
    const { stage, servers, primary, secondary } = this.pair;
    for (const server of servers) this.disks.set(server, SmallDisk.mount(server.dataDirectory, DISK_MEBIBYTES));
    this.witness = hasWitness ? new Witness(stage.n3) : null;
    this.init = new InitSystem(servers);
    this.stories = { alpha: new EventStory(primary), beta: new EventStory(secondary) };
    const [alpha, beta] = [primary.host.address, secondary.host.address];
    const serverAt = (address: string): ServerName => (address === alpha ? 'alpha' : 'beta');
    const observer = (name: string, host: typeof stage.n3, targets: readonly string[], pauseMs: number) =>
      new Observer({ name, host, targets, pauseMs }, serverAt);
    this.client = observer('client', stage.n3, [alpha, beta], 100);
    // A server that is cut off has to be watched from within.
    this.observers = [
      observer('outside-alpha', stage.n3, [alpha], 150),
      observer('outside-beta', stage.n3, [beta], 150),
      observer('inside-alpha', primary.host, [alpha], 150),
      observer('inside-beta', secondary.host, [beta], 150),
    ];
  }

  /** Builds a registered pair in sync with everything around it. */
  static async build(settings: ChaosSettings): Promise<ChaosPair> {
    const built = new ChaosPair(settings);
    try {
      await built.witness?.start();
      await built.pair.start('automatic');
      await built.pair.primary.query(CREATE_TABLE);
      built.looking = built.lookAfterIt();
      return built;
    } catch (error) {
      built.pair.destroy();
      throw error;
    }
  }

  /** The rows of the client and of the observers. */
  get writes(): AcknowledgedWrite[] {
    return [this.client, ...this.observers].flatMap(({ writes }) => writes);
  }

  /** Rows of unknown outcome. */
  get unknown(): number {
    return [this.client, ...this.observers].reduce((sum, { unknown }) => sum + unknown, 0);
  }

  server(name: ServerName): UnderstudyServer {
    return name === 'alpha' ? this.pair.primary : this.pair.secondary;
  }

  diskOf(server: UnderstudyServer): SmallDisk {
    const disk = this.disks.get(server);
    if (!disk) throw new Error(`${server.description.name} has no disk of its own`);
    return disk;
  }

  /** Both statuses of about one moment. */
  async status(): Promise<PairStatus> {
    const ask = (server: UnderstudyServer) => (server.host.isPowered ? server.status() : Promise.resolve(null));
    const [alpha, beta] = await Promise.all(this.pair.servers.map(ask));
    return { alpha: alpha ?? null, beta: beta ?? null };
  }

  /**
   * Waits until the pair has come to rest and stays there; tells who is active and since when it is at rest, or why it is not.
   * Ends early when `signal` is aborted.
   */
  async comesToRest(
    withinMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly active: ServerName; readonly sinceMs: number } | { readonly reason: string }> {
    const endMs = monotonicMs() + withinMs;
    let since: { active: ServerName; sinceMs: number } | undefined;
    let reason = '';
    while (!signal.aborted && (since || monotonicMs() < endMs)) {
      const rest = restOf(await this.status(), this.witness !== null);
      const nowMs = monotonicMs();
      if ('reason' in rest) {
        since = undefined;
        reason = rest.reason;
      } else if ((this.client.writes.at(-1)?.acknowledgedMs ?? 0) < nowMs - CLIENT_MUST_WRITE_WITHIN_MS) {
        since = undefined;
        reason = `${rest.active} is active, but the client cannot write`;
      } else {
        if (since?.active !== rest.active) since = { active: rest.active, sinceMs: nowMs };
        if (nowMs - since.sinceMs >= STAYS_AT_REST_MS) return since;
      }
      await pause(LOOK_MS);
    }
    return { reason: signal.aborted ? 'interrupted' : reason };
  }

  /** Copies the logs of both servers to `directory`. */
  keepLogs(directory: string): void {
    for (const { host, dataDirectory, description } of this.pair.servers) {
      const target = join(directory, description.name);
      mkdirSync(target, { recursive: true });
      cpSync(join(host.directory, 'log'), join(target, 'log'), { recursive: true });
      cpSync(join(dataDirectory, 'logs'), join(target, 'logs'), { recursive: true });
    }
    cpSync(join(this.pair.stage.n3.directory, 'log'), join(directory, 'n3'), { recursive: true });
  }

  /** Ends the client and the observers, and nothing else is looked after any more. */
  async stop(): Promise<void> {
    this.isOver = true;
    this.init.stop();
    await this.looking;
    await Promise.all([this.client, ...this.observers].map((observer) => observer.stop()));
  }

  /** Removes everything. */
  destroy(): void {
    this.isOver = true;
    this.init.stop();
    this.pair.destroy();
  }

  private async lookAfterIt(): Promise<void> {
    while (!this.isOver) {
      this.init.look();
      for (const observer of [this.client, ...this.observers]) observer.keepGoing();
      await Promise.all(Object.values(this.stories).map((story) => story.refresh()));
      this.lookForTwoActives(await this.status());
      await pause(LOOK_MS);
    }
  }

  private lookForTwoActives({ alpha, beta }: PairStatus): void {
    const isActive = (status: typeof alpha) => status?.currentRole === 'active' && status.peer?.reachable === true;
    this.looksWithTwoActives = isActive(alpha) && isActive(beta) ? this.looksWithTwoActives + 1 : 0;
    if (this.looksWithTwoActives === LOOKS_WITH_TWO_ACTIVES)
      this.twoActives.push(`alpha: ${JSON.stringify(alpha)}\nbeta: ${JSON.stringify(beta)}`);
  }
}
