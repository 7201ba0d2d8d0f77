import type { FirewallOutcome } from '@understudy/contracts';

/** The packet filter of this server. */
export interface Firewall {
  /** Lets TCP from a host (an address or a name) in to these ports, where something may drop it. Never rejects; safe to repeat. */
  open(from: string, ports: readonly number[]): Promise<FirewallOutcome>;
}
