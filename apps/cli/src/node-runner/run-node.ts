import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type PeerIdentity, PeerIdentitySchema, SERVICE_NAMES, type ServiceName } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import { JsonLogger, PeerIdentityFile, Secret, SystemClock, writeFileAtomically } from '@understudy/platform';
import { NotStartable, type PreparedNode, prepareNode, writeRunnerLock } from './preparation.ts';
import { RotatingLog } from './rotating-log.ts';
import { natsConfiguration, redisConfiguration } from './server-configurations.ts';
import { type ChildCommand, SupervisedChild } from './supervised-child.ts';
import { askRedis, askService, Watchdog } from './watchdog.ts';

/** Each service in its own process, or all in one. */
export type Layout = 'separate' | 'composed';

/** What a takeover needs is started first; the rest shortly after, so that a booting server is back soon. */
const FIRST: readonly ServiceName[] = ['health-monitor', 'db-replication', 'heartbeat', 'api-gateway'];
const REST_DELAY_MS = 1500;
const PORT_LIMIT_MS = 15_000;
const APPS = fileURLToPath(new URL('../../../', import.meta.url));

/** Runs one server in the foreground until SIGTERM or SIGINT. Resolves with the exit code: 0, or 2 when it cannot be started. */
export async function runNode({ configFile, layout }: { configFile: string; layout: Layout }): Promise<number> {
  let node: PreparedNode;
  try {
    node = await prepareNode(configFile, process.env);
  } catch (error) {
    if (!(error instanceof NotStartable)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 2;
  }
  process.title = `understudy-node`;
  const runner = new NodeRunner(node, layout);
  const told = Promise.withResolvers<void>();
  process.once('SIGTERM', () => told.resolve());
  process.once('SIGINT', () => told.resolve());
  process.stdout.on('error', () => undefined);
  await runner.start();
  await told.promise;
  await runner.stop();
  return 0;
}

/** The children of one server: bus, store, services. */
class NodeRunner {
  private readonly clock = new SystemClock();
  private readonly logger = new JsonLogger('node');
  private readonly children: SupervisedChild[] = [];
  private readonly nats: SupervisedChild;
  private readonly redis: SupervisedChild;
  private readonly services: { name: string; services: readonly ServiceName[]; child: SupervisedChild }[];
  private watchdog: Watchdog | null = null;
  private bus: Bus | null = null;
  private unfollow: () => void = () => undefined;
  private linkConfiguration = '';
  private stopping = false;

  constructor(
    private readonly node: PreparedNode,
    layout: Layout,
  ) {
    const { programs, paths } = node;
    this.nats = this.child({
      name: 'nats-server',
      program: programs.nats,
      args: ['-c', this.natsFile],
      environment: process.env,
      isService: false,
    });
    this.redis = this.child({
      name: 'redis-server',
      program: programs.redis,
      args: [join(paths.redis, 'redis.conf')],
      environment: process.env,
      isService: false,
    });
    const order = [...FIRST, ...SERVICE_NAMES.filter((name) => !FIRST.includes(name))];
    const groups: { name: string; services: readonly ServiceName[] }[] =
      layout === 'composed'
        ? [{ name: 'composed', services: order }]
        : order.map((name) => ({ name, services: [name] }));
    this.services = groups.map((group) => ({ ...group, child: this.child(this.serviceCommand(group.name)) }));
  }

  async start(): Promise<void> {
    const { node } = this;
    const { configuration, paths, runId } = node;
    const { ports } = configuration;
    this.logger.info('Starting this server', { name: configuration.node.name, role: configuration.node.role, runId });
    await writeFileAtomically(
      join(paths.redis, 'redis.conf'),
      redisConfiguration({
        listen: node.localAddress,
        port: ports.store,
        password: node.store.password,
        directory: paths.redis,
      }),
      { mode: 0o600 },
    );
    const peerFile = new PeerIdentityFile<PeerIdentity>(paths.peer, (value) => PeerIdentitySchema.parse(value));
    await this.configureLink(await peerFile.read());
    this.nats.start();
    this.redis.start();
    await Promise.all([this.portOpens(ports.bus, 'nats-server'), this.portOpens(ports.store, 'redis-server')]);
    for (const { child, services } of this.services) {
      if (services.some((name) => FIRST.includes(name))) child.start();
    }
    this.unfollow = peerFile.follow(
      async (peer) => {
        if (await this.configureLink(peer)) this.nats.replace('the peer has changed', 'SIGTERM');
      },
      (error) => this.logger.error('The pinned peer cannot be read; the pair link stays as it was', { error }),
    );
    await this.watch();
    await delay(REST_DELAY_MS);
    if (this.stopping) return;
    for (const { child } of this.services) child.start();
  }

  /** Application, then database, then the rest: nothing serves when its ground is taken away. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.logger.info('Stopping this server');
    this.unfollow();
    this.watchdog?.stop();
    const stopService = async (names: readonly string[], shutdown: boolean) => {
      const chosen = this.services.filter(({ name }) => names.includes(name));
      await Promise.all(chosen.map(({ child }) => child.stop({ shutdown, limitMs: shutdown ? 80_000 : 10_000 })));
    };
    await stopService(['composed'], true);
    await stopService(['api-gateway'], false);
    await stopService(['health-monitor'], true);
    await stopService(['db-replication'], true);
    await stopService(SERVICE_NAMES, false);
    await this.bus?.close();
    await this.redis.stop({ shutdown: false, limitMs: 10_000 });
    await this.nats.stop({ shutdown: false, limitMs: 10_000 });
    rmSync(this.node.paths.runnerLock, { force: true });
    this.logger.info('Stopped');
  }

  private get natsFile(): string {
    return join(this.node.paths.nats, 'nats.conf');
  }

  /** Writes the bus's configuration for this peer; true when it has changed. */
  private async configureLink(peer: PeerIdentity | null): Promise<boolean> {
    const { configuration, paths, localAddress, bus, store } = this.node;
    const { address, name, role } = configuration.node;
    const peerCertificateFile = join(paths.nats, 'peer.pem');
    if (peer !== null) await writeFileAtomically(peerCertificateFile, peer.certificatePem, { mode: 0o600 });
    const text = natsConfiguration({
      serverName: name,
      listen: localAddress,
      port: configuration.ports.bus,
      ...bus,
      systemPassword: store.password,
      pairLink: peer && {
        listen: address,
        port: configuration.ports.pairLink,
        certificateFile: paths.certificate,
        keyFile: paths.privateKey,
        peerCertificateFile,
        pairId: peer.pairId,
        dial: role === 'secondary' ? { address: peer.address, port: peer.ports.pairLink } : null,
      },
    });
    const changed = `${text}\n${peer?.fingerprint ?? ''}` !== this.linkConfiguration;
    if (changed) await writeFileAtomically(this.natsFile, text, { mode: 0o600 });
    this.linkConfiguration = `${text}\n${peer?.fingerprint ?? ''}`;
    return changed;
  }

  private async watch(): Promise<void> {
    const { configuration, localAddress, bus: credentials, store } = this.node;
    const bus = await Bus.connect({
      credentials: {
        url: `nats://${localAddress}:${configuration.ports.bus}`,
        user: credentials.user,
        password: new Secret(credentials.password),
      },
      name: 'node',
      role: configuration.node.role,
      logger: this.logger,
    });
    this.bus = bus;
    this.watchdog = new Watchdog([
      { name: 'nats-server', child: this.nats, ask: async () => bus.connected },
      {
        name: 'redis-server',
        child: this.redis,
        ask: askRedis(localAddress, configuration.ports.store, store.password),
      },
      ...this.services.flatMap(({ services, child }) =>
        services.map((service) => ({ name: service, child, ask: askService(bus, service) })),
      ),
    ]);
    this.watchdog.start();
  }

  private child(command: ChildCommand): SupervisedChild {
    const log = new RotatingLog(join(this.node.paths.logs, `${command.name}.log`));
    const child = new SupervisedChild(command, this.clock, this.logger, log, () => this.rememberChildren());
    this.children.push(child);
    return child;
  }

  private serviceCommand(name: string): ChildCommand {
    const { configurationFile, paths, runId } = this.node;
    const environment = {
      NODE_ENV: 'production',
      ...process.env,
      UNDERSTUDY_CONFIG_FILE: configurationFile,
      UNDERSTUDY_RUN_ID: runId,
      NODE_COMPILE_CACHE: paths.compileCache,
    };
    const heapMiB = name === 'composed' ? 384 : 128;
    const args = ['--max-semi-space-size=1', `--max-old-space-size=${heapMiB}`, join(APPS, name, 'dist', 'main.js')];
    return { name, program: process.execPath, args, environment, isService: true };
  }

  private remembering = Promise.resolve();

  private rememberChildren(): void {
    this.remembering = this.remembering
      .then(() =>
        this.stopping
          ? undefined
          : writeRunnerLock(
              this.node.paths,
              this.node.runId,
              this.children.map(({ command, pid }) => ({ name: command.name, pid })),
            ),
      )
      .catch((error: unknown) => this.logger.warn('The list of children could not be written', { error }));
  }

  private async portOpens(port: number, name: string): Promise<void> {
    const until = this.clock.nowMs() + PORT_LIMIT_MS;
    while (this.clock.nowMs() < until && !this.stopping) {
      if (await accepts(this.node.localAddress, port)) return;
      await delay(20);
    }
    this.logger.error('A part of this server does not listen; it is restarted until it does', { part: name, port });
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
