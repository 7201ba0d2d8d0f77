import {
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

/** A witness of a simulated pair: one value that is replaced only by whoever knows the last one. */
export class SimulatedWitness {
  lease: Lease | null = null;
  private writes = 0;

  /** Replaces the lease when `known` is its revision still. */
  replace(word: LeaseWord, known: number): Lease | null {
    if ((this.lease?.revision ?? 0) !== known) return null;
    this.writes += 1;
    this.lease = { ...word, revision: known + 1, stamp: String(this.writes) };
    return this.lease;
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

  constructor(
    private readonly role: ServerRole,
    leaseMs: number,
    private readonly way: WitnessWay,
    private readonly tell: (witness: WitnessView) => void,
  ) {
    this.knowledge = new LeaseKnowledge(role, leaseMs);
  }

  /** What is done several times within the time of a lease. */
  look(record: ServerRecord): void {
    this.tell(this.knowledge.view(this.reachable));
    if (record.pairId === null) return;
    this.looking ??= this.lookAndRenew(record)
      .then(() => this.tell(this.knowledge.view(this.reachable)))
      .finally(() => {
        this.looking = null;
      });
  }

  async acquire({ epoch }: { epoch: number }): Promise<boolean> {
    await this.looking;
    this.knowledge.see(await this.read(), this.way.life.nowMs);
    const isGiven = this.knowledge.mayTake(epoch, this.way.life.nowMs) && (await this.take({ role: this.role, epoch }));
    // the lease is known before anything is opened under it
    this.tell(this.knowledge.view(true));
    return isGiven;
  }

  private async lookAndRenew(record: ServerRecord): Promise<void> {
    try {
      this.knowledge.see(await this.read(), this.way.life.nowMs);
      if (keepsLease(record) && this.knowledge.mayRenew(record.hold, this.way.life.nowMs))
        await this.take(renewal(record));
      this.reachable = true;
    } catch {
      this.reachable = false;
    }
  }

  private async take(wanted: LeaseWord): Promise<boolean> {
    const askedAtMs = this.way.life.nowMs;
    const { revision } = this.knowledge;
    const lease = await this.exchange((witness) => witness.replace(wanted, revision));
    if (lease === null) return false;
    this.knowledge.taken(lease, askedAtMs);
    return true;
  }

  private read(): Promise<Lease | null> {
    return this.exchange(({ lease }) => lease);
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
