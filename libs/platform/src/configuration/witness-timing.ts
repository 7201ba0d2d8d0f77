/** What follows from the time of a lease, in milliseconds. */
export interface WitnessTiming {
  readonly leaseMs: number;
  /** Kept free at the end of a lease: within it a server that may not serve any longer is closed. */
  readonly fenceMs: number;
  /** Between two renewals; several fit into a lease, so that one may be lost. */
  readonly renewMs: number;
}

/** The margins of a lease: a fifth of it, between 0.4 s and 5 s, for closing; eight renewals. */
export function witnessTiming(leaseSeconds: number): WitnessTiming {
  const leaseMs = leaseSeconds * 1000;
  return { leaseMs, fenceMs: Math.min(5000, Math.max(400, leaseMs / 5)), renewMs: Math.max(100, leaseMs / 8) };
}

/** The shortest lease, in seconds, with which a server whose witness is away lives on the answers of its peer. */
export function shortestLeaseSeconds(intervalSeconds: number): number {
  // two beats, of which one may be lost, and the answer's way
  for (let lease = 1; ; lease += 0.5) {
    const { leaseMs, fenceMs } = witnessTiming(lease);
    if (leaseMs - fenceMs >= (2 * intervalSeconds + 0.1) * 1000) return lease;
  }
}
