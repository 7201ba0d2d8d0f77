import { PeerIdentitySchema } from '@understudy/contracts';
import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import { PeerIdentityFile, type ServiceEnvironment } from '@understudy/platform';
import { BusBeats, BusFacts } from './adapters/bus.adapter.ts';
import { DetectionTrace } from './adapters/detection-trace.adapter.ts';
import { HealthUrlProbe } from './adapters/health-url-probe.adapter.ts';
import { ownBusLimitMs, watchOwnBus } from './adapters/own-bus-watch.adapter.ts';
import { AppModule } from './app.module.ts';
import { HEARD } from './controllers/heartbeat.controller.ts';
import { BeatAnswerService } from './services/beat-answer.service.ts';
import { PeerWatchService } from './services/peer-watch.service.ts';
import { PinnedPeerService } from './services/pinned-peer.service.ts';

const SUBSCRIBED_WITHIN_MS = 1000;

/** Starts this server's heartbeat: watches the pinned peer and answers its beats. */
export async function startHeartbeat(env: ServiceEnvironment): Promise<RunningService> {
  const { configuration, paths, clock, logger } = env;
  const { intervalSeconds, missedLimit, graceSeconds, probeTimeoutSeconds } = configuration.heartbeat;
  const times = {
    intervalMs: intervalSeconds * 1000,
    missedLimit,
    graceMs: graceSeconds * 1000,
    probeTimeoutMs: probeTimeoutSeconds * 1000,
  };
  const limitMs = ownBusLimitMs(times.missedLimit * times.intervalMs);
  const bus = await connectBus(env);
  const beats = new BusBeats(bus);
  const trace = new DetectionTrace(times.intervalMs, clock);
  const probe = trace.probe(new HealthUrlProbe(configuration.witness?.kind === 'nats'));
  const watch = new PeerWatchService(times, beats, probe, new BusFacts(bus, limitMs, trace), clock, logger);
  const answers = new BeatAnswerService(times.intervalMs, () => watch.watched, beats);
  const file = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const pinned = new PinnedPeerService(file, watch, logger);

  const unwatchBus = watchOwnBus(bus, limitMs, (answers) => watch.busChanged(answers));
  // Known before the first beat is answered: a beat of the peer must not be refused because we have just started.
  await pinned.start();
  const application = await createBusApplication(AppModule.of({ bus, answers, watch, pinned }), {
    bus,
    definitions: HEARD,
    logger,
  });
  // Started means that the peer's beats reach us.
  await bus.flush(SUBSCRIBED_WITHIN_MS);

  return {
    close: async () => {
      pinned.stop();
      unwatchBus();
      watch.stop();
      await application.close();
      await bus.close();
    },
  };
}
