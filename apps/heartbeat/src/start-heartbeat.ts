import {
  Beat,
  OwnStatusChanged,
  type PeerIdentity,
  PeerIdentitySchema,
  StatusChangedHint,
  WatchPeer,
} from '@understudy/contracts';
import { BusError, connectBus, type RunningService } from '@understudy/messaging';
import { PeerIdentityFile, type ServiceEnvironment } from '@understudy/platform';
import { BusBeats, BusFacts } from './adapters/bus.adapter.ts';
import { HealthUrlProbe } from './adapters/health-url-probe.adapter.ts';
import { ownBusLimitMs, watchOwnBus } from './adapters/own-bus-watch.adapter.ts';
import { BeatAnswerService } from './services/beat-answer.service.ts';
import { PeerWatchService } from './services/peer-watch.service.ts';

const SUBSCRIBED_WITHIN_MS = 1000;

/**
 * Starts this server's heartbeat: watches the pinned peer and answers its beats. Whom to watch is in `identity/peer.json`, so that a
 * restarted heartbeat needs nobody to tell it; health-monitor's `watch-peer` only makes it look at once.
 */
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
  const watch = new PeerWatchService(times, beats, new HealthUrlProbe(), new BusFacts(bus, limitMs), clock, logger);
  const answers = new BeatAnswerService(times.intervalMs, () => watch.watched, beats);

  const unwatchBus = watchOwnBus(bus, limitMs, (answers) => watch.busChanged(answers));
  bus.handle(Beat, async (beat) => {
    const answer = await answers.answer(beat);
    if ('refusal' in answer) throw new BusError(answer.refusal, answer.message, true);
    return answer;
  });
  bus.subscribe(StatusChangedHint, () => watch.hint());
  bus.subscribe(OwnStatusChanged, () => {
    bus.publish(StatusChangedHint, {});
  });

  const file = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const unreadable = (error: unknown) => logger.error('The file of the pinned peer cannot be read', { error });
  bus.subscribe(WatchPeer, async ({ peer }) => {
    // Said again every 5 s; only what differs is worth a look. The file decides: a message may be old.
    if (identityOf(peer) === identityOf(watch.watched)) return;
    await file.read().then((pinned) => watch.watch(pinned), unreadable);
  });
  await file.read().then((pinned) => watch.watch(pinned), unreadable);
  const unfollow = file.follow((peer) => watch.watch(peer), unreadable);
  // Started means that the peer's beats reach us.
  await bus.flush(SUBSCRIBED_WITHIN_MS);

  return {
    close: async () => {
      unfollow();
      unwatchBus();
      watch.stop();
      await bus.close();
    },
  };
}

function identityOf(peer: PeerIdentity | null): string {
  return peer === null ? '' : `${peer.pairId} ${peer.role} ${peer.fingerprint}`;
}
