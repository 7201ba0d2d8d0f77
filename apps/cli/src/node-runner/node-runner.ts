import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE_NAMES, type ServiceName } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import { type Logger, Secret, SystemClock } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll } from './kill-all.ts';
import { ManagerWatch, managedServer } from './manager-watch.ts';
import { stopAbandonedPostmaster } from './own-postmaster.ts';
import { PairLink } from './pair-link.ts';
import { natsCommand, redisCommand, serviceCommand, writeRedisConfiguration } from './part-commands.ts';
import type { WholeNode } from './preparation.ts';
import { RotatingLog } from './rotating-log.ts';
import { releaseRunnerLock, writeRunnerLock } from './runner-lock.ts';
import { guardOf, type ServingGuard } from './serving-guard.ts';
import { SHUTDOWN_LIMIT_MS, STOP_LIMIT_MS } from './stop-limits.ts';
import { type ChildCommand, SupervisedChild } from './supervised-child.ts';
import { askNats, askRedis, askService, BUS_TIMING, SERVICE_TIMING, STORE_TIMING, Watchdog } from './watchdog.ts';

/** Each service in its own process, or all in one. */
export type Layout = 'separate' | 'composed';

/** What a takeover needs is started first; the rest when those are ready, so that a booting server is back soon. */
const FIRST: readonly ServiceName[] = ['health-monitor', 'db-replication', 'heartbeat', 'api-gateway'];

/** The rest waits no longer than this: a first one may be busy with its database for minutes. */
const REST_DELAY_MS = 4000;
/** The services come up by themselves when bus or store are late; waiting for those just saves them reconnecting. */
const GROUND_LIMIT_MS = 2000;

/** The children of one server: bus, store and services; what started them, watches them, and stops them in the right order. */
export class NodeRunner {
  private readonly clock = new SystemClock();
  private readonly children: SupervisedChild[] = [];
  private readonly pairLink: PairLink;
  private readonly nats: SupervisedChild;
  private readonly redis: SupervisedChild;
  private readonly services: { name: string; services: readonly ServiceName[]; child: SupervisedChild }[];
  private readonly guard: ServingGuard;
  private readonly managerWatch: ManagerWatch | null;
  private watchdog: Watchdog | null = null;
  private bus: Bus | null = null;
  private stopping = false;
  private remembering = Promise.resolve();

  constructor(
    private readonly node: WholeNode,
    private readonly logger: Logger,
    options: { layout: Layout; services?: readonly ServiceName[] },
  ) {
    const { programs } = node;
    this.pairLink = new PairLink(node, logger);
    this.nats = this.child(natsCommand(this.pairLink, programs));
    this.redis = this.child(redisCommand(node, programs));
    const chosen = options.services ?? SERVICE_NAMES;
    const order = [...FIRST, ...SERVICE_NAMES.filter((name) => !FIRST.includes(name))].filter((name) =>
      chosen.includes(name),
    );
    const groups: { name: string; services: readonly ServiceName[] }[] =
      options.layout === 'composed'
        ? [{ name: 'composed', services: order }]
        : order.map((name) => ({ name, services: [name] }));
    this.guard = guardOf(node, this.clock, logger);
    this.services = groups.map((group) => ({ ...group, child: this.child(serviceCommand(node, group.name)) }));
    const manager = this.services.find(({ services }) => services.includes('health-monitor'))?.child;
    this.managerWatch = manager ? new ManagerWatch(manager, managedServer(node), this.clock, logger) : null;
  }

  /** Starts everything and returns; what follows (supervision, the pair link) goes on until `stop`. */
  async start(): Promise<void> {
    const { configuration, runId, localAddress, store } = this.node;
    const { ports, node } = configuration;
    this.logger.info('Starting this server', { name: node.name, role: node.role, runId });
    await writeRedisConfiguration(this.node);
    await this.pairLink.prepare();
    this.nats.start();
    this.redis.start();
    const natsAnswers = askNats(localAddress, ports.bus);
    const redisAnswers = askRedis(localAddress, ports.store, store.password);
    await Promise.all([this.answers(natsAnswers), this.answers(redisAnswers)]);
    this.pairLink.followWith(this.nats);
    if (configuration.witness?.kind === 'nats') this.guard.start();
    this.managerWatch?.start();
    this.startServices().catch((error: unknown) => this.logger.error('Starting the services failed', { error }));
    this.watch(natsAnswers, redisAnswers).catch((error: unknown) => this.logger.error('Watching failed', { error }));
  }

  /** Application, then database, then the rest: nothing serves when its ground is taken away. Leaves no process behind. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.logger.info('Stopping this server');
    this.pairLink.stop();
    this.watchdog?.stop();
    this.managerWatch?.stop();
    await this.stopServices(['composed'], true);
    await this.stopServices(['api-gateway'], false);
    await this.stopServices(['health-monitor'], true);
    killAll(applicationProcesses(this.node.paths.dataDirectory));
    await this.stopServices(['db-replication'], true);
    this.guard.stop();
    if (await stopAbandonedPostmaster(this.node.configuration.database.dataDirectory)) {
      this.logger.warn('PostgreSQL was still running and has been stopped');
    }
    await this.stopServices(SERVICE_NAMES, false);
    await this.bus?.close();
    await this.redis.stop({ shutdown: false, limitMs: STOP_LIMIT_MS });
    await this.nats.stop({ shutdown: false, limitMs: STOP_LIMIT_MS });
    await this.remembering;
    releaseRunnerLock(this.node.paths);
    this.logger.info('Stopped');
  }

  private async startServices(): Promise<void> {
    const first = this.services.filter(({ services }) => services.some((name) => FIRST.includes(name)));
    for (const { child } of first) if (!this.stopping) child.start();
    await Promise.race([Promise.all(first.map(({ child }) => child.ready)), delay(REST_DELAY_MS)]);
    for (const { child } of this.services) if (!this.stopping) child.start();
  }

  private async stopServices(names: readonly string[], shutdown: boolean): Promise<void> {
    const chosen = this.services.filter(({ name }) => names.includes(name));
    const limitMs = shutdown ? SHUTDOWN_LIMIT_MS : STOP_LIMIT_MS;
    await Promise.all(chosen.map(({ child }) => child.stop({ shutdown, limitMs })));
  }

  private async watch(askBus: ReturnType<typeof askNats>, askStore: ReturnType<typeof askRedis>): Promise<void> {
    const { configuration, localAddress, bus: credentials } = this.node;
    const { user, password } = credentials;
    const url = `nats://${localAddress}:${configuration.ports.bus}`;
    const ground = [
      { name: 'nats-server', child: this.nats, timing: BUS_TIMING, ask: askBus },
      { name: 'redis-server', child: this.redis, timing: STORE_TIMING, ask: askStore },
    ];
    // Bus and store are watched from the beginning: connecting to a bus that hangs would wait for ever.
    this.watchdog = new Watchdog(ground);
    this.watchdog.start();
    const { role } = configuration.node;
    const bus = await Bus.connect({
      credentials: { url, user, password: new Secret(password) },
      name: 'node',
      role,
      logger: this.logger,
    });
    if (this.stopping) return bus.close();
    this.bus = bus;
    const parts = this.services.flatMap(({ services, child }) =>
      services.map((name) => ({ name, child, timing: SERVICE_TIMING, ask: askService(bus, name) })),
    );
    this.watchdog.stop();
    this.watchdog = new Watchdog([...ground, ...parts]);
    this.watchdog.start();
  }

  private child(command: ChildCommand): SupervisedChild {
    const log = new RotatingLog(join(this.node.paths.logs, `${command.name}.log`));
    const child = new SupervisedChild(command, this.clock, this.logger, log, () => this.rememberChildren());
    this.children.push(child);
    return child;
  }

  /** Keeps the list of children beside the lock: the next run ends what a killed one has left. */
  private rememberChildren(): void {
    const { paths, runId } = this.node;
    const list = () => this.children.map(({ command, pid }) => ({ name: command.name, pid }));
    this.remembering = this.remembering
      .then(() => writeRunnerLock(paths, runId, list()))
      .catch((error: unknown) => this.logger.warn('The list of children could not be written', { error }));
  }

  private async answers(ask: (limitMs: number) => Promise<boolean | null>): Promise<void> {
    const until = this.clock.nowMs() + GROUND_LIMIT_MS;
    while (this.clock.nowMs() < until && !this.stopping) {
      if (await ask(500)) return;
      await delay(20);
    }
  }
}
