import type { PeerIdentity } from '@understudy/contracts';
import type { OwnIdentity } from '@understudy/platform';

/** Every port at which this server and its peer know each other by their certificates. */
export interface PeerDoors {
  /**
   * Connects anew to each with a certificate of this server. Resolves with what stands in the way, `10.77.0.2:5432 (ports.database): ...`;
   * null: each takes it and shows one of the expected certificates. A part of the peer that does not run is not in the way.
   *
   * @param expected fingerprints, SHA-256 in lower-case hexadecimal
   */
  objection(peer: PeerIdentity, own: OwnIdentity, expected: readonly string[]): Promise<string | null>;
}
