import { join } from 'node:path';
import { type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import { PeerIdentityFile, readOwnIdentity, type ServiceEnvironment } from '@understudy/platform';
import { AppModule } from './app.module.ts';
import { ANSWERED } from './controllers/file-sync.controller.ts';
import type { EngineSettings } from './engine/engine.ts';
import { EngineThread } from './engine/engine-thread.ts';
import type { OwnSide } from './engine/peer-server.ts';
import { FileSyncService } from './services/file-sync.service.ts';

/** Starts this server's file-sync: nothing moves before the health monitor has said which server is active. */
export async function startFileSync(env: ServiceEnvironment): Promise<RunningService> {
  const { paths, logger } = env;
  const bus = await connectBus(env);
  const settings = await settingsOf(env);
  const engine =
    settings &&
    new EngineThread(
      settings,
      {
        incident: (incident) => service.incident(incident),
        changed: (fileSet) => service.changed(fileSet),
        status: (status) => service.observed(status),
      },
      logger,
    );
  const service: FileSyncService = new FileSyncService(bus, engine);
  const peers = new PeerIdentityFile<PeerIdentity>(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const unfollow =
    engine &&
    peers.follow(
      async (peer) => engine.setPeer(peer, await ownSide(env)),
      (error) => logger.error('The pinned peer cannot be read', { error }),
    );
  service.start();
  const application = await createBusApplication(AppModule.of(service), { bus, definitions: ANSWERED, logger });
  return {
    close: async () => {
      unfollow?.();
      service.stop();
      await engine?.close();
      await application.close();
      await bus.close();
    },
  };
}

/** Null: no file sets are configured, and nothing is listened on. */
async function settingsOf(env: ServiceEnvironment): Promise<EngineSettings | null> {
  const { configuration, paths } = env;
  const { fileSets } = configuration;
  if (fileSets.length === 0) return null;
  return {
    fileSets,
    own: await ownSide(env),
    stateDirectory: paths.fileSync,
    setAside: join(paths.setAside, 'files'),
  };
}

async function ownSide({ configuration, paths }: ServiceEnvironment): Promise<OwnSide> {
  const identity = await readOwnIdentity(paths);
  if (identity === null) throw new Error(`${paths.certificate} is missing; "understudy node run" makes it.`);
  const { certificatePem, privateKeyPem } = identity;
  return { address: configuration.node.address, port: configuration.ports.fileSync, certificatePem, privateKeyPem };
}
