/**
 * Which way files go, as this server's health monitor says. `sends`: this server is active, the peer may fetch from it. `fetches`: this
 * server stands by. `unknown`: neither, nothing moves.
 */
export interface Direction {
  readonly way: 'sends' | 'fetches' | 'unknown';
  /** Highest epoch that this server knows of. */
  readonly epoch: number;
  /** Why it is unknown; empty when it is not. */
  readonly reason: string;
}

/** Before the health monitor has said anything. */
export const NOT_KNOWN: Direction = { way: 'unknown', epoch: 0, reason: 'the health monitor has not answered yet' };

/** So long a word of the health monitor counts, in ms. */
export const DIRECTION_VALID_MS = 5000;

/** The direction of a server in this role. */
export function directionOf(currentRole: 'active' | 'standby' | 'none', epoch: number): Direction {
  if (currentRole === 'active') return { way: 'sends', epoch, reason: '' };
  if (currentRole === 'standby') return { way: 'fetches', epoch, reason: '' };
  return { way: 'unknown', epoch, reason: 'this server is neither active nor standby' };
}
