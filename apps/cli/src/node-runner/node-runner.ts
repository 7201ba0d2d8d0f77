import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SERVICE_NAMES, type ServiceName } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import { type Logger, Secret, SystemClock, servingNoteFile, writeFileAtomically } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll } from './kill-all.ts';
import { stopAbandonedPostmaster } from './own-postmaster.ts';
import { PairLink } from './pair-link.ts';
import type { PreparedNode } from './preparation.ts';
import { restoreFile } from './restore-file.ts';
import { RotatingLog } from './rotating-log.ts';
import { releaseRunnerLock, writeRunnerLock } from './runner-lock.ts';
import { redisConfiguration } from './server-configurations.ts';
import { ServingGuard } from './serving-guard.ts';
import { type ChildCommand, SupervisedChild } from './supervised-child.ts';
import { askNats, askRedis, askService, BUS_TIMING, SERVICE_TIMING, STORE_TIMING, Watchdog } from './watchdog.ts';

/** Each service in its own process, or all in one. */
export type Layout = 'separate' | 'composed';

/** What a takeover needs is started first; the rest when those are ready, so that a booting server is back soon. */
const FIRST: readonly ServiceName[] = ['health-monitor', 'db-replication', 'heartbeat', 'api-gateway'];
/** Between a change of the pinned peer and the restart of the bus for it. */
const LINK_SETTLE_MS = 300;

/** The rest waits no longer than this: a first one may be busy with its database for minutes. */
const REST_DELAY_MS = 4000;
/** The services come up by themselves when bus or store are late; waiting for those just saves them reconnecting. */
const GROUND_LIMIT_MS = 2000;
/** PostgreSQL's own shutdown may take 85 s, that of the application 60 s after a hand-over of 20 s. */
const SHUTDOWN_LIMIT_MS = 110_000;
const STOP_LIMIT_MS = 10_000;
const APPS = fileURLToPath(new URL('../../../', import.meta.url));

/** The children of one server: bus, store and services; what started them, watches them, and stops them in the right order. */
export class NodeRunner {
  private readonly clock = new SystemClock();
  private readonly children: SupervisedChild[] = [];
  private readonly pairLink: PairLink;
  private readonly nats: SupervisedChild;
  private readonly redis: SupervisedChild;
  private readonly services: { name: string; services: readonly ServiceName[]; child: SupervisedChild }[];
  private readonly guard: ServingGuard;
  private watchdog: Watchdog | null = null;
  private bus: Bus | null = null;
  private stopping = false;
  private remembering = Promise.resolve();

  constructor(
    private readonly node: PreparedNode,
    private readonly logger: Logger,
    options: { layout: Layout; services?: readonly ServiceName[] },
  ) {
    const { programs, paths } = node;
    this.pairLink = new PairLink(node, logger);
    const { file } = this.pairLink;
    const restoreLink = () => this.pairLink.restore();
    this.nats = this.child(this.serverCommand('nats-server', programs.nats, ['-c', file], restoreLink));
    this.redis = this.child(
      this.serverCommand('redis-server', programs.redis, [this.redisFile], () =>
        restoreFile(this.redisFile, this.redisText()),
      ),
    );
    const chosen = options.services ?? SERVICE_NAMES;
    const order = [...FIRST, ...SERVICE_NAMES.filter((name) => !FIRST.includes(name))].filter((name) =>
      chosen.includes(name),
    );
    const groups: { name: string; services: readonly ServiceName[] }[] =
      options.layout === 'composed'
        ? [{ name: 'composed', services: order }]
        : order.map((name) => ({ name, services: [name] }));
    const { configuration, runId } = node;
    this.guard = new ServingGuard(
      {
        rightFile: servingNoteFile(paths.run),
        runId,
        dataDirectory: paths.dataDirectory,
        databaseDirectory: configuration.database.dataDirectory,
      },
      this.clock,
      logger,
    );
    this.services = groups.map((group) => ({ ...group, child: this.child(this.serviceCommand(group.name)) }));
  }

  /** Starts everything and returns; what follows (supervision, the pair link) goes on until `stop`. */
  async start(): Promise<void> {
    const { configuration, runId, localAddress, store } = this.node;
    const { ports, node } = configuration;
    this.logger.info('Starting this server', { name: node.name, role: node.role, runId });
    await writeFileAtomically(this.redisFile, this.redisText(), { mode: 0o600 });
    await this.pairLink.prepare();
    this.nats.start();
    this.redis.start();
    const natsAnswers = askNats(localAddress, ports.bus);
    const redisAnswers = askRedis(localAddress, ports.store, store.password);
    await Promise.all([this.answers(natsAnswers), this.answers(redisAnswers)]);
    this.pairLink.follow((peer) => {
      const reason = peer === null ? 'there is no peer any more' : `the peer is now ${peer.name}`;
      // the answer that pinned the peer is still on its way over this very bus
      setTimeout(() => !this.stopping && this.nats.replace(reason, 'SIGTERM'), LINK_SETTLE_MS);
    });
    if (configuration.witness?.kind === 'nats') this.guard.start();
    this.startServices().catch((error: unknown) => this.logger.error('Starting the services failed', { error }));
    this.watch(natsAnswers, redisAnswers).catch((error: unknown) => this.logger.error('Watching failed', { error }));
  }

  /** Application, then database, then the rest: nothing serves when its ground is taken away. Leaves no process behind. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.logger.info('Stopping this server');
    this.pairLink.stop();
    this.watchdog?.stop();
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

  /** Bus and store end with this process, however it ends. */
  private serverCommand(name: string, program: string, args: readonly string[], prepare: () => void): ChildCommand {
    const { setpriv } = this.node.programs;
    const command = { name, environment: process.env, isService: false, prepare };
    if (setpriv === null) return { ...command, program, args };
    return { ...command, program: setpriv, args: ['--pdeathsig', 'KILL', program, ...args] };
  }

  private get redisFile(): string {
    return join(this.node.paths.redis, 'redis.conf');
  }

  private redisText(): string {
    const { configuration, paths, localAddress, store } = this.node;
    return redisConfiguration({
      listen: localAddress,
      port: configuration.ports.store,
      password: store.password,
      directory: paths.redis,
    });
  }

  private serviceCommand(name: string): ChildCommand {
    const { paths, runId } = this.node;
    const environment = {
      NODE_ENV: 'production',
      ...process.env,
      UNDERSTUDY_CONFIG_FILE: paths.configuration,
      UNDERSTUDY_RUN_ID: runId,
      NODE_COMPILE_CACHE: paths.compileCache,
    };
    const heapMiB = name === 'composed' ? 384 : 128;
    const args = ['--max-semi-space-size=1', `--max-old-space-size=${heapMiB}`, join(APPS, name, 'dist', 'main.js')];
    return { name, program: process.execPath, args, environment, isService: true };
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
