import type { PeerIdentity } from '@understudy/contracts';
import type { Clock } from '@understudy/platform';
import { at, type Context, childSpan, keptSpan, NOWHERE, noteFailure, placeAt, within } from '@understudy/telemetry';
import type { ProbeOutcome, ProbePort } from '../ports/heartbeat.ports.ts';

/** The loss of the peer as the beginning of a trace: the missed beats, then each opening of its URL. What is stated of it carries the trace on. */
export class DetectionTrace {
  /** What was last done about the silence that lasts; outside of every trace while the peer is heard. */
  private place: Context = NOWHERE;
  private missedBeats: Context | null = null;

  constructor(
    private readonly intervalMs: number,
    private readonly clock: Clock,
  ) {}

  /** The peer was heard: the next silence is another matter. */
  heard(): void {
    this.place = NOWHERE;
    this.missedBeats = null;
  }

  /** States something about the silence, which has lasted for so long. */
  state(silentMs: number, publish: () => void): void {
    if (this.missedBeats === null) {
      const nowMs = this.clock.unixMs();
      const startTime = Math.min(nowMs, nowMs - silentMs + this.intervalMs);
      const attributes = {
        'understudy.silent_ms': silentMs,
        'understudy.missed_beats': Math.floor(silentMs / this.intervalMs),
      };
      const span = keptSpan('missed beats', { attributes, startTime }, NOWHERE);
      span.end(nowMs);
      this.missedBeats = placeAt(span);
      this.place = this.missedBeats;
    }
    at(this.place, publish);
  }

  /** The same probe, as a part of the silence during which it is made. */
  probe(probe: ProbePort): ProbePort {
    return { open: (peer, timeoutMs) => this.open(probe, peer, timeoutMs) };
  }

  private open(probe: ProbePort, peer: PeerIdentity, timeoutMs: number): Promise<ProbeOutcome> {
    const silence = this.missedBeats;
    const span = childSpan('open the URL of the peer', {}, silence ?? NOWHERE);
    // the verdict may be stated before the attempt has ended
    if (silence !== null) this.place = placeAt(span);
    return within(span, async () => {
      const outcome = await probe.open(peer, timeoutMs);
      span.setAttributes({ 'understudy.answered': outcome.answered, 'understudy.detail': outcome.detail });
      if (!outcome.answered) noteFailure(span, new Error(outcome.detail));
      return outcome;
    });
  }
}
