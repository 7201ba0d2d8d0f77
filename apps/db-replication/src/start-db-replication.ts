import {
  CommitsShallWait,
  DatabaseFactsObserved,
  DatabaseFactsQuery,
  DatabaseIncident,
  type PeerIdentity,
  PeerIdentitySchema,
  PerformDatabaseTask,
} from '@understudy/contracts';
import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import { PeerIdentityFile, type ServiceEnvironment } from '@understudy/platform';
import { AppModule } from './app.module.ts';
import { DatabaseEngine } from './engine/engine.ts';
import { IncidentOutbox } from './engine/incident-outbox.ts';
import type { EngineSettings } from './ports/engine-settings.ts';

/** Starts this server's db-replication: it takes up the PostgreSQL that is there, and does nothing to it until told. */
export async function startDbReplication(env: ServiceEnvironment): Promise<RunningService> {
  const { paths, clock, logger } = env;
  const bus = await connectBus(env);
  const peers = new PeerIdentityFile<PeerIdentity>(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const incidents = new IncidentOutbox((incident) => bus.publish(DatabaseIncident, incident));
  const engine = new DatabaseEngine(
    settingsOf(env),
    {
      factsObserved: (facts) => void bus.publish(DatabaseFactsObserved, facts),
      incident: (incident) => {
        logger.warn(incident.message, { code: incident.code });
        incidents.tell(incident);
      },
    },
    clock,
    logger,
    () => peers.read(),
  );
  await engine.setPeer(await peers.read());
  await engine.start();
  const unfollow = peers.follow(
    (peer) => engine.setPeer(peer),
    (error) => logger.error('The pinned peer cannot be read', { error }),
  );
  bus.subscribe(CommitsShallWait, (decided) => {
    engine
      .setCommitsWait(decided)
      .catch((error: unknown) => logger.error('PostgreSQL could not be told whether commits wait', { error }));
  });
  const application = await createBusApplication(AppModule.of(engine, incidents), {
    bus,
    definitions: [PerformDatabaseTask, DatabaseFactsQuery],
    logger,
  });
  return {
    close: async ({ reason }) => {
      unfollow();
      await engine.close({ shutdown: reason !== 'service-restart' });
      await application.close();
      await bus.close();
    },
  };
}

function settingsOf({ configuration, paths, runId }: ServiceEnvironment): EngineSettings {
  const { node, ports, database } = configuration;
  return {
    serverName: node.name,
    address: node.address,
    hasVirtualIp: configuration.virtualIp !== undefined,
    port: ports.database,
    binDirectory: database.binDirectory ?? '/usr/bin',
    dataDirectory: database.dataDirectory,
    osUser: database.osUser,
    accessRules: database.accessRules,
    parameters: database.parameters,
    retentionSeconds: database.retentionHours * 3600,
    walKeepLimitBytes: database.walKeepLimit,
    copyRateLimitBytes: database.copyRateLimit,
    runId,
    paths: {
      root: paths.dataDirectory,
      certificate: paths.certificate,
      privateKey: paths.privateKey,
      run: paths.run,
      sockets: paths.sockets,
      logs: paths.logs,
      configuration: paths.postgresqlConfig,
      setAside: paths.setAside,
    },
  };
}
