import type { Lease, LeaseWord } from '@understudy/ha-core';

/** Where the witness keeps the leases of pairs. Every call ends within its deadline; it rejects when the witness cannot be reached. */
export interface LeaseStore {
  /** The lease of that pair as it is; null: there has never been one. */
  read(pairId: string): Promise<Lease | null>;
  /** Replaces the lease of that revision (0: none yet). Null: somebody else has replaced it first. */
  replace(pairId: string, lease: LeaseWord, revision: number): Promise<Lease | null>;
  close(): Promise<void>;
}

/** The router of this server's network. */
export interface GatewayProbe {
  /** Whether it answers now. Never rejects. */
  answers(): Promise<boolean>;
}
