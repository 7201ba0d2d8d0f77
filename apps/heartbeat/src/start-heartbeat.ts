import { type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import { PeerIdentityFile, type ServiceEnvironment } from '@understudy/platform';
import { BusBeats } from './adapters/bus-beats.adapter.ts';
import { HealthUrlProbe } from './adapters/health-url-probe.adapter.ts';
import { AppModule } from './app.module.ts';
import { HEARD } from './controllers/beat.controller.ts';
import { BeatAnswerService } from './services/beat-answer.service.ts';
import { PeerWatchService } from './services/peer-watch.service.ts';

/** Starts this server's heartbeat: it watches the pinned peer from the first moment, and answers the peer's beats. */
export async function startHeartbeat(env: ServiceEnvironment): Promise<RunningService> {
  const { configuration, clock, logger, paths } = env;
  const { intervalSeconds, missedLimit, graceSeconds, probeTimeoutSeconds } = configuration.heartbeat;
  const times = {
    intervalMs: intervalSeconds * 1000,
    missedLimit,
    graceMs: graceSeconds * 1000,
    probeTimeoutMs: probeTimeoutSeconds * 1000,
  };
  const bus = await connectBus(env);
  const beats = new BusBeats(bus);
  const watch = new PeerWatchService(times, beats, new HealthUrlProbe(), beats, clock, logger);
  const answers = new BeatAnswerService(times.intervalMs, () => watch.watched, beats);
  const application = await createBusApplication(AppModule.of({ bus, answers, watch }), {
    bus,
    definitions: HEARD,
    logger,
  });
  bus.onConnectionChange((connected) => watch.busChanged(connected));
  // health-monitor says it again every few seconds; the file makes a restarted heartbeat beat at once
  const peers = new PeerIdentityFile<PeerIdentity>(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const unfollow = peers.follow(
    (peer) => watch.watch(peer),
    (error) => logger.error('The pinned peer cannot be read', { error }),
  );
  return {
    close: async () => {
      unfollow();
      watch.stop();
      await application.close();
      await bus.close();
    },
  };
}
