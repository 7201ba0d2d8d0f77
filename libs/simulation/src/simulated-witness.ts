import {
  dissolution,
  keepsLease,
  type Lease,
  LeaseKnowledge,
  type LeaseWord,
  renewal,
  type ServerRecord,
  type ServerRole,
  type WitnessView,
} from '@understudy/ha-core';
import { EffectError, type WitnessPort } from '@understudy/ha-runtime';
import type { Life } from './life.ts';

/** A witness of a simulated pair: one value for each pair that they form, replaced only by whoever knows the last one. */
export class SimulatedWitness {
  private readonly leases = new Map<string, Lease>();
  private writes = 0;

  leaseOf(pairId: string): Lease | null {
    return this.leases.get(pairId) ?? null;
  }

  /** Replaces the lease when `known` is its revision still. */
  replace(pairId: string, word: LeaseWord, known: number): Lease | null {
    if ((this.leaseOf(pairId)?.revision ?? 0) !== known) return null;
    this.writes += 1;
    const lease = { ...word, revision: known + 1, stamp: String(this.writes) };
    this.leases.set(pairId, lease);
    return lease;
  }

  /** It loses its storage. */
  forget(): void {
    this.leases.clear();
  }
}

/** The way of one manager to the witness. */
export interface WitnessWay {
  readonly life: Life;
  /** The witness, when it can be reached. */
  witness(): SimulatedWitness | null;
  /** How long the next message takes; null: it is lost. */
  messageMs(): number | null;
}

/** One server's side of it, as its manager does it: keeps the lease alive while it serves, and knows when the other's has ended. */
export class SimulatedLeaseKeeper implements WitnessPort {
  private readonly knowledge: LeaseKnowledge;
  private reachable = false;
  private looking: Promise<void> | null = null;
  private announced: string | undefined;

  constructor(
    private readonly role: ServerRole,
    leaseMs: number,
    private readonly way: WitnessWay,
    private readonly pairId: () => string | null,
    private readonly tell: (witness: WitnessView) => void,
    private readonly dissolved: (pairId: string) => void,
  ) {
    this.knowledge = new LeaseKnowledge(role, leaseMs);
  }

  /** What is done several times within the time of a lease. */
  look(record: ServerRecord): void {
    this.tell(this.knowledge.view(this.reachable));
    const { pairId } = record;
    this.looking ??= (pairId === null ? this.announceDissolution(record) : this.lookAndRenew(record, pairId))
      .then(() => {
        if (pairId === null) return;
        if (this.knowledge.isDissolved) this.dissolved(pairId);
        this.tell(this.knowledge.view(this.reachable));
      })
      .finally(() => {
        this.looking = null;
      });
  }

  async acquire({ epoch }: { epoch: number }): Promise<boolean> {
    await this.looking;
    const pairId = this.pairId();
    if (pairId === null) return false;
    this.knowledge.see(await this.read(pairId), this.way.life.nowMs);
    const mayTake = this.knowledge.mayTake(epoch, this.way.life.nowMs);
    const isGiven = mayTake && (await this.take(pairId, { role: this.role, epoch }));
    // the lease is known before anything is opened under it
    this.tell(this.knowledge.view(true));
    return isGiven;
  }

  private async lookAndRenew(record: ServerRecord, pairId: string): Promise<void> {
    try {
      this.knowledge.see(await this.read(pairId), this.way.life.nowMs);
      if (keepsLease(record) && this.knowledge.mayRenew(record.hold, this.way.life.nowMs))
        await this.take(pairId, renewal(record));
      this.reachable = true;
    } catch {
      this.reachable = false;
    }
  }

  private async announceDissolution({ dissolved }: ServerRecord): Promise<void> {
    const pairId = dissolved.at(-1);
    if (pairId === undefined || pairId === this.announced) return;
    try {
      const lease = await this.exchange((witness) => witness.leaseOf(pairId));
      const word = dissolution(this.role, lease);
      const replace = (witness: SimulatedWitness) => word && witness.replace(pairId, word, lease?.revision ?? 0);
      if (word === null || (await this.exchange(replace)) !== null) this.announced = pairId;
    } catch {
      // the next look tries again
    }
  }

  private async take(pairId: string, wanted: LeaseWord): Promise<boolean> {
    const askedAtMs = this.way.life.nowMs;
    const { revision } = this.knowledge;
    const lease = await this.exchange((witness) => witness.replace(pairId, wanted, revision));
    if (lease === null) return false;
    this.knowledge.taken(lease, askedAtMs);
    return true;
  }

  private read(pairId: string): Promise<Lease | null> {
    return this.exchange((witness) => witness.leaseOf(pairId));
  }

  /** A message to the witness and its answer, each of which takes its time or is lost. */
  private async exchange<T>(act: (witness: SimulatedWitness) => T): Promise<T> {
    await this.message();
    const witness = this.way.witness();
    if (witness === null) throw unreachable();
    const answer = act(witness);
    await this.message();
    return answer;
  }

  private async message(): Promise<void> {
    const ms = this.way.messageMs();
    if (ms === null) throw unreachable();
    if (ms > 0) await this.way.life.sleep(ms);
  }
}

function unreachable(): EffectError {
  return new EffectError('witness-unreachable', 'the witness does not answer');
}
