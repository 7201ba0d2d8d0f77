import type { PeerIdentity, ServerStatus } from '@understudy/contracts';

/** Asks the peer's heartbeat over the pair link. Rejects on any failure: no answer, a refusal, our own bus being down. */
export interface BeatPort {
  beat(peer: PeerIdentity, beat: BeatSent, timeoutMs: number): Promise<{ nonce: string; status: ServerStatus }>;
}

/** What one beat says. */
export interface BeatSent {
  readonly nonce: string;
  readonly sequence: number;
  readonly pairId: string;
}

/** Opens the peer's Health Monitor URL. Never rejects; ends within `timeoutMs`. */
export interface ProbePort {
  open(peer: PeerIdentity, timeoutMs: number): Promise<{ answered: boolean; detail: string }>;
}

/** Tells this server's health-monitor what was found. Publishing on a lost bus is dropped silently: the facts are repeated. */
export interface FactsPort {
  peerHeard(status: ServerStatus, roundTripMs: number): void;
  peerLost(silentMs: number): void;
  peerConfirmedLost(silentMs: number, probe: string): void;
  peerAnsweredProbe(silentMs: number): void;
}

/** This server's own status, from its health-monitor. Rejects when that does not answer in time. */
export interface OwnStatusPort {
  ownStatus(timeoutMs: number): Promise<ServerStatus>;
}
