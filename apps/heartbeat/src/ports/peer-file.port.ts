import type { PeerIdentity } from '@understudy/contracts';

/** The file that names the pinned peer. */
export interface PeerFilePort {
  /** Null: not paired. Rejects when the file cannot be read: that is not "not paired". */
  read(): Promise<PeerIdentity | null>;
  /** Calls back with the present content and after each change, until the returned function is called. */
  follow(onChange: (peer: PeerIdentity | null) => void, onError: (error: unknown) => void): () => void;
}
