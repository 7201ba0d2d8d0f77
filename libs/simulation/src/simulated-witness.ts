import { type Lease, LeaseKnowledge, type ServerRole, type WitnessView } from '@understudy/ha-core';

/** A witness of a simulated pair: one value that is replaced only by whoever knows the last one. */
export class SimulatedWitness {
  lease: Lease | null = null;
  private writes = 0;

  /** Replaces the lease when `known` is its revision still. */
  replace(role: ServerRole, epoch: number, known: number): Lease | null {
    if ((this.lease?.revision ?? 0) !== known) return null;
    this.writes += 1;
    this.lease = { role, epoch, revision: known + 1, stamp: String(this.writes) };
    return this.lease;
  }
}

/** One server's side of it: keeps its own lease alive while it serves, and knows when the other's has ended. */
export class SimulatedLeaseKeeper {
  private readonly knowledge: LeaseKnowledge;

  constructor(
    private readonly role: ServerRole,
    leaseMs: number,
  ) {
    this.knowledge = new LeaseKnowledge(role, leaseMs);
  }

  /** Looks at the witness, and renews the lease of a server that serves under `epoch`. `witness` null: it cannot be reached. */
  look(witness: SimulatedWitness | null, serving: boolean, epoch: number, nowMs: number): WitnessView {
    if (witness !== null) {
      this.knowledge.see(witness.lease, nowMs);
      if (serving && this.knowledge.mayRenew(epoch, nowMs)) this.take(witness, epoch, nowMs);
    }
    return this.knowledge.view(witness !== null);
  }

  /** What is known of the lease. */
  view(reachable: boolean): WitnessView {
    return this.knowledge.view(reachable);
  }

  /** Tries to get the lease. */
  acquire(witness: SimulatedWitness, epoch: number, nowMs: number): boolean {
    this.knowledge.see(witness.lease, nowMs);
    return this.knowledge.mayTake(epoch, nowMs) && this.take(witness, epoch, nowMs);
  }

  private take(witness: SimulatedWitness, epoch: number, nowMs: number): boolean {
    const lease = witness.replace(this.role, epoch, this.knowledge.revision);
    if (lease === null) return false;
    this.knowledge.taken(lease, nowMs);
    return true;
  }
}
