import { join } from 'node:path';
import { SERVICE_NAMES, type ServiceName } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import { findProgram, type Logger, readBusCredentials, SystemClock } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll } from './kill-all.ts';
import { ManagerWatch, managedServer } from './manager-watch.ts';
import { NotStartable } from './not-startable.ts';
import { stopAbandonedPostmaster } from './own-postmaster.ts';
import { PairLink } from './pair-link.ts';
import { natsCommand, redisCommand, serviceCommand, writeRedisConfiguration } from './part-commands.ts';
import { isServiceWell, reportHealth } from './part-health.ts';
import type { PreparedNode } from './preparation.ts';
import { RotatingLog } from './rotating-log.ts';
import { guardOf, type ServingGuard } from './serving-guard.ts';
import { SHUTDOWN_LIMIT_MS, STOP_LIMIT_MS } from './stop-limits.ts';
import { type ChildCommand, SupervisedChild } from './supervised-child.ts';
import {
  askNats,
  askRedis,
  askService,
  BUS_TIMING,
  SERVICE_TIMING,
  STORE_TIMING,
  Watchdog,
  type Watched,
} from './watchdog.ts';

/** What runs in a container of its own: the bus, the node store, or a service. */
export const PARTS = ['nats', 'redis', ...SERVICE_NAMES] as const;
export type Part = (typeof PARTS)[number];

const HEALTH_MS = 2000;
/** These own something that must not run on without them: the application, PostgreSQL. */
const OWNERS: readonly Part[] = ['health-monitor', 'db-replication'];

/** One part of a server in a container of its own, supervised as the runner of a whole server does it. */
export class PartRunner {
  private readonly clock = new SystemClock();
  private readonly pairLink: PairLink | null;
  private readonly child: SupervisedChild;
  private readonly guard: ServingGuard | null;
  private readonly managerWatch: ManagerWatch | null;
  private watchdog: Watchdog | null = null;
  private bus: Bus | null = null;
  private stopping = false;
  private endHealth: () => void = () => undefined;

  /** Throws NotStartable when the program of the part is not in this image. */
  constructor(
    private readonly part: Part,
    private readonly node: PreparedNode,
    private readonly logger: Logger,
  ) {
    this.pairLink = part === 'nats' ? new PairLink(node, logger) : null;
    const command = this.command();
    const log = new RotatingLog(join(node.paths.logs, `${command.name}.log`));
    this.child = new SupervisedChild(command, this.clock, logger, log, () => undefined);
    const isGuarded = node.configuration.witness?.kind === 'nats' && OWNERS.includes(part);
    this.guard = isGuarded ? guardOf(node, this.clock, logger) : null;
    const isManager = part === 'health-monitor';
    this.managerWatch = isManager ? new ManagerWatch(this.child, managedServer(node), this.clock, logger) : null;
  }

  /** Starts it and returns; supervision goes on until `stop`. */
  async start(): Promise<void> {
    if (this.part === 'redis') await writeRedisConfiguration(this.node);
    await this.pairLink?.prepare();
    this.guard?.start();
    this.managerWatch?.start();
    this.child.start();
    this.pairLink?.followWith(this.child);
    this.watch().catch((error: unknown) => this.logger.error('Watching failed', { error }));
  }

  /** Ends it in order. `isLost`: the run of the server is over already, and bus and store are gone or going. */
  async stop({ isLost }: { isLost: boolean }): Promise<void> {
    this.stopping = true;
    this.endHealth();
    this.pairLink?.stop();
    this.watchdog?.stop();
    this.managerWatch?.stop();
    const isOwner = OWNERS.includes(this.part);
    await this.child.stop({ shutdown: isOwner, isLost, limitMs: isOwner ? SHUTDOWN_LIMIT_MS : STOP_LIMIT_MS });
    this.guard?.stop();
    if (this.part === 'health-monitor') killAll(applicationProcesses(this.node.paths.dataDirectory));
    if (this.part === 'db-replication') await stopAbandonedPostmaster(this.node.configuration.database.dataDirectory);
    await this.bus?.close();
  }

  private command(): ChildCommand {
    const { part, node, pairLink } = this;
    const search = process.env.PATH ?? '';
    const program = (name: string): string => {
      const found = findProgram(name, search);
      if (found === null) throw new NotStartable([`there is no ${name} in this image: it is not the image of ${part}`]);
      return found;
    };
    const setpriv = findProgram('setpriv', search);
    if (pairLink !== null) return natsCommand(pairLink, { nats: program('nats-server'), setpriv });
    if (part === 'redis') return redisCommand(node, { redis: program('redis-server'), setpriv });
    return serviceCommand(node, part);
  }

  private async watch(): Promise<void> {
    const { part, node } = this;
    const { localAddress, configuration, store } = node;
    if (part === 'nats') return this.watchBy(askNats(localAddress, configuration.ports.bus), BUS_TIMING);
    if (part === 'redis')
      return this.watchBy(askRedis(localAddress, configuration.ports.store, store.password), STORE_TIMING);
    const bus = await Bus.connect({
      credentials: readBusCredentials(node.paths),
      name: 'node',
      role: configuration.node.role,
      logger: this.logger,
    });
    if (this.stopping) return bus.close();
    this.bus = bus;
    const isWell = () => isServiceWell(bus, part as ServiceName, node, HEALTH_MS);
    this.watchBy(askService(bus, part as ServiceName), SERVICE_TIMING, isWell);
  }

  /** A part that hangs is killed and started anew; what Docker is told of its health is apart from that. */
  private watchBy(
    ask: Watched['ask'],
    timing: Watched['timing'],
    isWell = async () => (await ask(HEALTH_MS)) === true,
  ): void {
    this.endHealth = reportHealth(isWell, HEALTH_MS);
    this.watchdog = new Watchdog([{ name: this.part, child: this.child, timing, ask }]);
    this.watchdog.start();
  }
}
