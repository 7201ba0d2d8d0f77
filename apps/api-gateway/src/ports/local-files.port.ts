import type { PeerIdentity } from '@understudy/contracts';
import type { CertificatePolicy } from '@understudy/platform';

/** What the gateway reads from this server's data directory. */
export abstract class LocalFiles {
  /** The token that lets the command line of this server in, null when there is none. */
  abstract cliToken(): Promise<string | null>;
  /** Which authentication key is in force: its salt, different for each; null when none is set. */
  abstract authenticationKeyId(): Promise<string | null>;
  /** This server's certificate (PEM), null when there is none. */
  abstract ownCertificate(): Promise<string | null>;
  /** How far a renewal of it is; null: none is under way. */
  abstract renewal(): Promise<'offered' | 'in-use' | null>;
  /** How a certificate that was not seen before comes to be trusted. */
  abstract certificatePolicy(): Promise<CertificatePolicy>;
  /** The pinned peer, null when not paired. */
  abstract peer(): Promise<PeerIdentity | null>;
}
