import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PeerIdentitySchema } from '@understudy/contracts';
import { isServing, rightToServeUntilMs, type Server, type ServerRole } from '@understudy/ha-core';
import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import {
  NodeStore,
  PEER_SLOT,
  PeerIdentityFile,
  placesThatMatter,
  readStoreCredentials,
  type ServiceEnvironment,
  serverMark,
  servingNoteFile,
  settingsWithoutEffect,
  witnessTiming,
} from '@understudy/platform';
import { DatabaseAdapter } from './adapters/database.adapter.ts';
import { GatewayPing } from './adapters/gateway-ping.adapter.ts';
import { Journal } from './adapters/journal.adapter.ts';
import { NatsLeaseStore } from './adapters/nats-lease-store.adapter.ts';
import { PeerAdapter } from './adapters/peer.adapter.ts';
import { PeerDoorsAdapter } from './adapters/peer-doors.adapter.ts';
import { shownCertificate } from './adapters/shown-certificate.adapter.ts';
import { ANSWERED, AppModule } from './app.module.ts';
import { makeProcesses } from './processes/index.ts';
import {
  AttemptLimiter,
  AuthenticationKeyStore,
  Bearers,
  HttpsRegistrationTransport,
  MeetingClient,
  MeetingResponder,
  RegistrationClient,
  RegistrationResponder,
} from './registration/index.ts';
import { AuthenticationKeyChange } from './services/authentication-key-change.ts';
import { certificateCare } from './services/certificate-care.ts';
import { EventLog } from './services/event-log.ts';
import { HealthMonitorService } from './services/health-monitor.service.ts';
import { MaintenanceService } from './services/maintenance.ts';
import { Pairing } from './services/pairing.ts';
import { RecordKeeper } from './services/record-keeper.ts';
import { registrationGate } from './services/registration-gate.ts';
import { ServingRight } from './services/serving-right.ts';
import { SharedVirtualIp } from './services/shared-virtual-ip.ts';
import { GatewayWatch, LeaseKeeper } from './services/witness.service.ts';
import { StorageWatch } from './storage/storage-watch.ts';
import {
  listOf,
  NetworkInterface,
  prefixOf,
  ReachableApplication,
  VirtualIp,
  VirtualIpRequirements,
  virtualIpLifetimeSeconds,
} from './virtual-ip/index.ts';

const STORE_WAIT_MS = 2000;
/** Readiness checks are through within 30 s, with what comes before them. */
const MEETING_STEP_MS = 2500;
const PAIRED_TRACES = ['standby.signal', `pg_replslot/${PEER_SLOT}`] as const;

/** Starts this server's health monitor: reads what was decided, answers, and goes on deciding. */
export async function startHealthMonitor(env: ServiceEnvironment): Promise<RunningService> {
  const { configuration, paths, logger, clock } = env;
  const bus = await connectBus(env);
  const store = await NodeStore.open(readStoreCredentials(paths), logger);
  await store.whenReady(STORE_WAIT_MS);
  const certificatePem = await readFile(paths.certificate, 'utf8');
  const peerFile = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const journal = await Journal.open(paths.journal, await serverMark(paths));
  const owner = {
    role: configuration.node.role,
    runId: env.runId,
    pinnedPair: (await peerFile.read())?.pairId ?? null,
    hasBegun: existsSync(join(paths.run, 'database-intent.json')),
    databaseWasPaired: wasPaired(configuration.database.dataDirectory, configuration.node.role),
  };
  const keeper = await RecordKeeper.open(journal, store, owner, clock, logger);
  const events = new EventLog(configuration.node.name, bus, store, clock, logger);
  await events.load(owner);

  const database = new DatabaseAdapter(bus, clock);
  const keys = new AuthenticationKeyStore(
    paths,
    configuration.node.authenticationKeyFile ?? null,
    configuration.node.role === 'secondary',
    configuration.node.name,
  );
  const own = {
    certificatePem,
    databaseVersion: await databaseVersion(configuration.database.binDirectory),
  };
  const pairing = new Pairing(
    env,
    own,
    peerFile,
    keys,
    new RegistrationClient(new HttpsRegistrationTransport(), (fingerprint) =>
      certificates.trust.objection(fingerprint),
    ),
    database,
  );
  await pairing.load();

  const processes = makeProcesses(env, {
    onCriticalFailure: (name, reason) => {
      events.note({ severity: 'critical', code: 'process-failed', message: `${name}: ${reason}` });
      monitor.processFailed(name);
    },
    onRecovered: (name) => {
      events.note({ severity: 'info', code: 'process-recovered', message: `${name} runs again` });
      monitor.processFailed(null);
    },
    onEvent: (severity, message) => events.note({ severity, code: 'process', message }),
  });
  const networkInterface = configuration.virtualIp ? new NetworkInterface(configuration.virtualIp.interface) : null;
  const requirements = new VirtualIpRequirements(networkInterface);
  const virtualIp = new VirtualIp(networkInterface, {
    addresses: () => pairing.virtualIp,
    mayServeUntilMs: () => mayServeUntilMs(monitor.view),
    tell: (severity, code, message) => events.note({ severity, code, message }),
    clock,
    lifetimeSeconds: virtualIpLifetimeSeconds(configuration.heartbeat),
  });
  for (const sentence of settingsWithoutEffect(configuration))
    events.note({ severity: 'warning', code: 'setting-without-effect', message: sentence });
  const monitor = new HealthMonitorService(
    env,
    bus,
    keeper,
    events,
    new ReachableApplication(processes, virtualIp),
    pairing,
    database,
    (pairId) =>
      new PeerAdapter(bus, configuration.node.role, pairId, () => {
        const message = `${pairing.peer?.name ?? 'The other server'} has not answered, and was not told that HA is removed. It hears of it when it reaches this server; until then it may serve, or take over by itself. Stop it, or remove HA there.`;
        events.note({ severity: 'warning', code: 'removal-untold', message });
      }),
    makeWitness(env),
    new ServingRight(
      servingNoteFile(paths.run),
      env.runId,
      () => networkInterface && { interface: networkInterface.name, prefixes: listOf(pairing.virtualIp).map(prefixOf) },
    ),
    virtualIp,
  );
  const limiter = new AttemptLimiter();
  const certificates = certificateCare(env, {
    bus,
    pairing,
    events,
    keys,
    limiter,
    peerLink: () => monitor.view.link,
    isGuarded: () => {
      const { role, failoverType, hold } = monitor.record;
      return role === 'primary' && failoverType === 'automatic' && hold !== 0;
    },
    doors: new PeerDoorsAdapter({
      dials: configuration.node.role === 'secondary',
      hasFileSets: configuration.fileSets.length > 0,
    }),
    shown: shownCertificate,
    transport: new HttpsRegistrationTransport(),
  });
  pairing.onChange = () => {
    monitor.publishWatch();
    void certificates.watch.look();
  };
  const gate = registrationGate(monitor, pairing, keys, requirements, certificates.trust);
  const responder = new RegistrationResponder(gate, clock, limiter);
  const bearers = new Bearers(clock);
  const meetings = {
    bearers,
    responder: new MeetingResponder(gate, bearers, clock, limiter),
    client: new MeetingClient(new HttpsRegistrationTransport(MEETING_STEP_MS), bearers),
  };
  const maintenance = new MaintenanceService(monitor, bus, clock);
  const keyChange = new AuthenticationKeyChange(
    {
      name: configuration.node.name,
      role: configuration.node.role,
      file: paths.authenticationKeyChange,
      peer: () => pairing.peer,
      isPeerReachable: () => monitor.view.link === 'up',
      tell: (severity, message) => events.note({ severity, code: 'authentication-key', message }),
    },
    keys,
    new HttpsRegistrationTransport(),
    clock,
    logger,
  );
  const sharedVirtualIp = new SharedVirtualIp(monitor, pairing, requirements, bus);
  const application = await createBusApplication(
    AppModule.of({
      monitor,
      pairing,
      keys,
      keyChange,
      responder,
      meetings,
      maintenance,
      requirements,
      certificates,
      sharedVirtualIp,
    }),
    {
      bus,
      definitions: ANSWERED,
      logger,
    },
  );
  const storage = new StorageWatch(
    { ...configuration.storage, places: placesThatMatter(configuration, paths), file: join(paths.run, 'storage.json') },
    (event) => events.note(event),
    clock,
    logger,
  );
  await monitor.start();
  await storage.start();
  await keyChange.start();
  await certificates.start();
  sharedVirtualIp.start();
  processes.startStandbyProcesses();

  return {
    close: async ({ reason }) => {
      storage.stop();
      sharedVirtualIp.stop();
      await keyChange.stop();
      await certificates.stop();
      await monitor.close(reason);
      await application.close();
      await journal.close();
      await bus.close();
      store.close();
    },
  };
}

/** Until when clients may be served here, on this server's clock; 0: not at all, infinite: nothing limits it. */
function mayServeUntilMs(server: Server): number {
  const { record } = server;
  // while the application is being opened it is not yet serving, and owns the role already
  if (record.closing || !(isServing(record) || record.hold !== 0)) return 0;
  return rightToServeUntilMs(server) ?? Number.POSITIVE_INFINITY;
}

/** The third vote of the configuration, where there is one. */
function makeWitness({ configuration, clock, logger }: ServiceEnvironment) {
  const { witness, node } = configuration;
  if (witness === undefined) return null;
  if (witness.kind === 'gateway') return new GatewayWatch(new GatewayPing(witness.address));
  const timing = witnessTiming(witness.leaseSeconds);
  const store = new NatsLeaseStore(witness, timing.renewMs * 2);
  return new LeaseKeeper(node.role, store, timing, clock, logger);
}

/** PostgreSQL's files on a primary that has, or had, a standby, or is one: what is left of a pair when nothing else is. */
function wasPaired(dataDirectory: string, role: ServerRole): boolean {
  return role === 'primary' && PAIRED_TRACES.some((trace) => existsSync(join(dataDirectory, trace)));
}

/** PostgreSQL's version as its program says it, e.g. "15.18". */
async function databaseVersion(binDirectory: string | null): Promise<string> {
  const { stdout } = await promisify(execFile)(
    binDirectory === null ? 'postgres' : join(binDirectory, 'postgres'),
    ['--version'],
    { timeout: 10_000 },
  );
  return /(\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? stdout.trim();
}
