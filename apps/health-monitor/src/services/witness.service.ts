import {
  dissolution,
  keepsLease,
  LeaseKnowledge,
  type LeaseWord,
  renewal,
  type ServerRecord,
  type ServerRole,
  type WitnessSettings,
  type WitnessView,
} from '@understudy/ha-core';
import type { WitnessPort } from '@understudy/ha-runtime';
import {
  type Clock,
  type Logger,
  type NodeConfiguration,
  type WitnessTiming,
  witnessTiming,
} from '@understudy/platform';
import type { GatewayProbe, LeaseStore } from '../ports/lease-store.port.ts';

const GATEWAY_EVERY_MS = 1000;
/** So many pings in a row that are not answered. */
const GATEWAY_MISSED = 3;

/** Tells the state machine what is known of the witness. */
export interface WitnessService {
  /**
   * Begins to look; `tell` is called several times within the time of a lease. A lease is not renewed before the last that was told is
   * taken in: who cannot decide any more shall not keep the role from the peer. `dissolved`: the witness says that the peer has dissolved
   * that pair.
   */
  start(
    record: () => ServerRecord,
    tell: (witness: WitnessView) => Promise<unknown>,
    dissolved: (pairId: string) => void,
  ): void;
  close(): Promise<void>;
  readonly port: WitnessPort | null;
}

/** What the state machine is told of the configured witness. */
export function witnessSettings({ witness }: NodeConfiguration): WitnessSettings | null {
  if (witness?.kind !== 'nats') return witness === undefined ? null : { kind: 'gateway' };
  const { leaseMs, fenceMs } = witnessTiming(witness.leaseSeconds);
  return { kind: 'nats', leaseMs, fenceMs };
}

/** Keeps this server's lease alive while it owns the role, and watches that of the other. Decision: docs/decisions/0011-witness.md. */
export class LeaseKeeper implements WitnessService, WitnessPort {
  private readonly knowledge: LeaseKnowledge;
  private reachable = false;
  private looking: Promise<unknown> | null = null;
  private timer: NodeJS.Timeout | undefined;
  private hasLooked = false;
  private tell: (witness: WitnessView) => Promise<unknown> = () => Promise.resolve();
  private record: () => ServerRecord | null = () => null;
  /** The pair of which the witness knows that it is dissolved. */
  private announced: string | undefined;

  constructor(
    private readonly role: ServerRole,
    private readonly store: LeaseStore,
    private readonly timing: WitnessTiming,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.knowledge = new LeaseKnowledge(role, timing.leaseMs);
  }

  get port(): WitnessPort {
    return this;
  }

  start(
    record: () => ServerRecord,
    tell: (witness: WitnessView) => Promise<unknown>,
    dissolved: (pairId: string) => void,
  ): void {
    this.tell = tell;
    this.record = record;
    const look = () => {
      // before the first look nothing is known, not even that the witness is away
      if (this.hasLooked) void tell(this.knowledge.view(this.reachable));
      const { pairId } = record();
      this.looking ??= (pairId === null ? this.announceDissolution(record()) : this.look(record(), pairId))
        .then(() => {
          if (pairId === null) return;
          if (this.knowledge.isDissolved) dissolved(pairId);
          return tell(this.knowledge.view(this.reachable));
        })
        .finally(() => {
          this.looking = null;
        });
    };
    this.timer = setInterval(look, this.timing.renewMs);
    look();
  }

  /** Tries to get the lease under a new epoch. Rejects when the witness cannot be reached. */
  async acquire({ epoch }: { epoch: number }): Promise<boolean> {
    await this.looking;
    const pairId = this.record()?.pairId ?? null;
    if (pairId === null) return false;
    this.knowledge.see(await this.store.read(pairId), this.clock.nowMs());
    const mayTake = this.knowledge.mayTake(epoch, this.clock.nowMs());
    const isGiven = mayTake && (await this.take(pairId, { role: this.role, epoch }));
    // the lease is known before anything is opened under it
    void this.tell(this.knowledge.view(true));
    return isGiven;
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.store.close();
  }

  /** Looks at the lease, and renews it where it is this server's to renew. Never rejects. */
  private async look(record: ServerRecord, pairId: string): Promise<void> {
    try {
      this.knowledge.see(await this.store.read(pairId), this.clock.nowMs());
      if (keepsLease(record) && this.knowledge.mayRenew(record.hold, this.clock.nowMs()))
        await this.take(pairId, renewal(record));
      if (!this.reachable) this.logger.info('The witness answers');
      this.reachable = true;
    } catch (error) {
      if (this.reachable) this.logger.warn('The witness does not answer', { error: String(error) });
      this.reachable = false;
    }
    this.hasLooked = true;
  }

  /**
   * Who has dissolved the pair while it had the lease serves on, and renews nothing: without a word of it the peer, when it cannot be
   * told, would take over beside it. Never rejects; repeated until the witness has answered.
   */
  private async announceDissolution({ dissolved }: ServerRecord): Promise<void> {
    const pairId = dissolved.at(-1);
    if (pairId === undefined || pairId === this.announced) return;
    try {
      const lease = await this.store.read(pairId);
      const word = dissolution(this.role, lease);
      if (word === null || (await this.store.replace(pairId, word, lease?.revision ?? 0)) !== null)
        this.announced = pairId;
    } catch (error) {
      this.logger.warn('The witness could not be told that the pair is dissolved', { error: String(error) });
    }
  }

  private async take(pairId: string, wanted: LeaseWord): Promise<boolean> {
    const askedAtMs = this.clock.nowMs();
    const lease = await this.store.replace(pairId, wanted, this.knowledge.revision);
    if (lease === null) return false;
    this.knowledge.taken(lease, askedAtMs);
    return true;
  }
}

/** The weaker witness: a router that answers says that this server is connected at all. It gives no lease. */
export class GatewayWatch implements WitnessService {
  readonly port = null;
  private missed = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly probe: GatewayProbe) {}

  start(_record: () => ServerRecord, tell: (witness: WitnessView) => Promise<unknown>): void {
    this.timer = setInterval(() => {
      void this.probe.answers().then((answered) => {
        this.missed = answered ? 0 : this.missed + 1;
        void tell({ reachable: this.missed < GATEWAY_MISSED, leaseUntilMs: null, holder: null, takeableAtMs: null });
      });
    }, GATEWAY_EVERY_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
  }
}
