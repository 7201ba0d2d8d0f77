import type { Clock, NodeConfiguration } from '@understudy/platform';
import type { VirtualAddresses } from './subnet.ts';

const LIFETIME_MAX_SECONDS = 10;
const LIFETIME_MIN_SECONDS = 2;

/** What the virtual IP needs of its server. */
export interface VirtualIpSurroundings {
  /** The addresses of the pair's configuration, as of now. */
  addresses(): VirtualAddresses;
  /** Until when this server may serve, on its own monotonic clock; 0: it may not, infinite: nothing limits it. */
  mayServeUntilMs(): number;
  tell(severity: 'info' | 'warning' | 'critical', code: string, message: string): void;
  readonly clock: Clock;
  /** The longest time for which the kernel keeps an address that is not renewed. */
  readonly lifetimeSeconds: number;
}

/**
 * The time that an address outlives its manager: less than a peer needs to find out that the manager is silent, between 2 and 10 s.
 */
export function virtualIpLifetimeSeconds({
  intervalSeconds,
  missedLimit,
  graceSeconds,
}: NodeConfiguration['heartbeat']) {
  const silence = Math.floor(intervalSeconds * (missedLimit - 1) + graceSeconds);
  return Math.min(LIFETIME_MAX_SECONDS, Math.max(LIFETIME_MIN_SECONDS, silence));
}
