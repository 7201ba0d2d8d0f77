import type { ServerRole } from '@understudy/ha-core';
import type { Adversity } from './adversity.ts';
import type { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Ways between the two servers that fail separately: the bus of the pair, the Health Monitor URL, the stream of the databases. */
export const CHANNELS = ['pair-link', 'https', 'replication'] as const;
export type Channel = (typeof CHANNELS)[number];

/** A request that got no answer in time. */
export class Unanswered extends Error {}

/** One end of the network. `life` is null while the machine is off. */
export interface Host {
  readonly role: ServerRole;
  readonly life: Life | null;
}

/** Carries messages between the two servers, late, in another order, twice or not at all, and each direction of a channel on its own. */
export class SimulatedNetwork {
  private readonly cutWays = new Set<string>();

  constructor(
    private readonly random: SeededRandom,
    private readonly adversity: () => Adversity,
    /** Told when messages do not go through as they should: from then on the servers may not have heard each other. */
    private readonly onDisturbed: () => void,
  ) {}

  /** Nothing goes from that server on that channel, or on any. */
  cut(from: ServerRole, channels: readonly Channel[] = CHANNELS): void {
    for (const channel of channels) this.cutWays.add(`${from} ${channel}`);
    this.onDisturbed();
  }

  heal(): void {
    if (this.cutWays.size > 0) this.onDisturbed();
    this.cutWays.clear();
  }

  /** Whether messages go from that server on that channel. */
  carries(from: ServerRole, channel: Channel): boolean {
    return !this.cutWays.has(`${from} ${channel}`);
  }

  /** Whether both directions of a channel are open. */
  connects(channel: Channel): boolean {
    return this.cutWays.size === 0 || (this.carries('primary', channel) && this.carries('secondary', channel));
  }

  /** Sends a message. Whoever is frozen gets it later, whoever is off never. */
  send(from: Host, to: Host, channel: Channel, deliver: () => void): void {
    const { lossProbability, duplicateProbability, messageMs } = this.adversity();
    if (!this.carries(from.role, channel) || this.random.chance(lossProbability)) {
      if (channel === 'pair-link') this.onDisturbed();
      return;
    }
    const copies = this.random.chance(duplicateProbability) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      to.life?.after(this.random.below(messageMs), () => {
        if (this.carries(from.role, channel)) deliver();
      });
  }

  /**
   * Asks the other server, and waits for its answer as a part of `asking`. Rejects with `Unanswered`, or with what the other one says.
   * The answer may come to a request that was answered or given up before: then nobody takes it.
   */
  request<T>(
    way: { readonly from: Host; readonly to: Host; readonly channel: Channel; readonly asking: Life },
    timeoutMs: number,
    answer: () => Promise<T>,
  ): Promise<T> {
    const { from, to, channel, asking } = way;
    const exchange = new Promise<T>((resolve, reject) => {
      let isOpen = true;
      const close = (end: () => void) => {
        if (isOpen) end();
        isOpen = false;
      };
      asking.after(timeoutMs, () => close(() => reject(new Unanswered('no answer'))));
      this.send(from, to, channel, () => {
        const reply = (end: () => void) => this.send(to, from, channel, () => close(end));
        answer().then(
          (value) => reply(() => resolve(value)),
          (error: unknown) => reply(() => reject(error)),
        );
      });
    });
    return asking.hear(exchange);
  }
}
