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

/** What the peer's URL answered. */
export interface ProbeOutcome {
  readonly answered: boolean;
  /** One phrase for people. */
  readonly detail: string;
  /** It says that the pair is dissolved. */
  readonly dissolved: boolean;
  /** It says that another server has taken the place of this one. */
  readonly replaced: boolean;
}

/** Opens the peer's Health Monitor URL. Never rejects; ends within `timeoutMs`. */
export interface ProbePort {
  open(peer: PeerIdentity, timeoutMs: number): Promise<ProbeOutcome>;
}

/** Tells this server's health-monitor what was found. Publishing on a lost bus is dropped silently: the facts are repeated. */
export interface FactsPort {
  /** `missedBeats`: without an answer since this service started. */
  peerHeard(status: ServerStatus, roundTripMs: number, sentAtMs: number, missedBeats: number): void;
  peerLost(silentMs: number, missedBeats: number): void;
  peerConfirmedLost(silentMs: number, probe: string): void;
  peerAnsweredProbe(silentMs: number): void;
  /** The peer's URL says that the pair is dissolved; `replaced`: because another server has taken the place of this one. */
  peerDissolvedPair(pairId: string, replaced: boolean): void;
}

/** This server's own status, from its health-monitor. Rejects when that does not answer in time. */
export interface OwnStatusPort {
  ownStatus(timeoutMs: number): Promise<ServerStatus>;
}
