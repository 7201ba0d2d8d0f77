import {
  Beat,
  OwnStatusQuery,
  PeerAnsweredProbe,
  PeerConfirmedLost,
  PeerHeard,
  type PeerIdentity,
  PeerLost,
  type ServerStatus,
} from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { BeatPort, BeatSent, FactsPort, OwnStatusPort } from '../ports/heartbeat.ports.ts';

/** Beats, facts and our own status, over the bus. */
export class BusBeats implements BeatPort, FactsPort, OwnStatusPort {
  constructor(private readonly bus: Bus) {}

  beat(peer: PeerIdentity, beat: BeatSent, timeoutMs: number): Promise<{ nonce: string; status: ServerStatus }> {
    return this.bus.request(Beat, beat, { timeoutMs, role: peer.role });
  }

  ownStatus(timeoutMs: number): Promise<ServerStatus> {
    return this.bus.request(OwnStatusQuery, {}, { timeoutMs });
  }

  peerHeard(status: ServerStatus, roundTripMs: number): void {
    this.bus.publish(PeerHeard, { status, roundTripMs });
  }

  peerLost(silentMs: number): void {
    this.bus.publish(PeerLost, { silentMs });
  }

  peerConfirmedLost(silentMs: number, probe: string): void {
    this.bus.publish(PeerConfirmedLost, { silentMs, probe });
  }

  peerAnsweredProbe(silentMs: number): void {
    this.bus.publish(PeerAnsweredProbe, { silentMs });
  }
}
