import {
  Beat,
  OwnStatusQuery,
  PeerAnsweredProbe,
  PeerConfirmedLost,
  PeerDissolvedPair,
  PeerHeard,
  type PeerIdentity,
  PeerLost,
  type ServerStatus,
} from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { BeatPort, BeatSent, FactsPort, OwnStatusPort } from '../ports/heartbeat.ports.ts';
import type { DetectionTrace } from './detection-trace.adapter.ts';

/** Sends beats to the peer, and asks our own health-monitor for the status to answer the peer's with. */
export class BusBeats implements BeatPort, OwnStatusPort {
  constructor(private readonly bus: Bus) {}

  beat(peer: PeerIdentity, beat: BeatSent, timeoutMs: number): Promise<{ nonce: string; status: ServerStatus }> {
    const { nonce, sequence, pairId } = beat;
    return this.bus.request(Beat, { nonce, sequence, pairId }, { role: peer.role, timeoutMs });
  }

  ownStatus(timeoutMs: number): Promise<ServerStatus> {
    return this.bus.request(OwnStatusQuery, {}, { timeoutMs });
  }
}

/**
 * Publishes what was found. A loss is published only after our own bus has answered: one that hangs without being closed would
 * make every peer look lost, and would deliver the statement when it is long untrue.
 */
export class BusFacts implements FactsPort {
  private signsOfLife = 0;

  /** @param limitMs how long our own bus may take to answer before a loss is stated */
  constructor(
    private readonly bus: Bus,
    private readonly limitMs: number,
    private readonly trace: DetectionTrace,
  ) {}

  peerHeard(status: ServerStatus, roundTripMs: number, sentAtMs: number, missedBeats: number): void {
    this.signsOfLife += 1;
    this.trace.heard();
    this.bus.publish(PeerHeard, { status, roundTripMs, sentAtMs, missedBeats });
  }

  peerLost(silentMs: number, missedBeats: number): void {
    this.whenOwnBusAnswers(silentMs, () => this.bus.publish(PeerLost, { silentMs, missedBeats }));
  }

  peerConfirmedLost(silentMs: number, probe: string): void {
    this.whenOwnBusAnswers(silentMs, () => this.bus.publish(PeerConfirmedLost, { silentMs, probe }));
  }

  peerAnsweredProbe(silentMs: number): void {
    this.whenOwnBusAnswers(silentMs, () => this.bus.publish(PeerAnsweredProbe, { silentMs }));
  }

  peerDissolvedPair(pairId: string, replaced: boolean): void {
    this.bus.publish(PeerDissolvedPair, { pairId, replaced });
  }

  private whenOwnBusAnswers(silentMs: number, publish: () => void): void {
    const signsOfLife = this.signsOfLife;
    void this.bus.flush(this.limitMs).then((answered) => {
      if (answered && signsOfLife === this.signsOfLife) this.trace.state(silentMs, publish);
    });
  }
}
