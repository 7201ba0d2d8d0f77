import type { ServerRole, WitnessView } from '@understudy/ha-core';

/** The lease as the witness keeps it. It has no clock: whoever wants the lease waits out the other's by its own. */
export interface SimulatedLease {
  readonly role: ServerRole;
  readonly epoch: number;
  readonly revision: number;
}

/** A witness of a simulated pair: one value that is replaced only by whoever knows the last one. */
export class SimulatedWitness {
  lease: SimulatedLease | null = null;
  private revisions = 0;

  /** Replaces the lease when `known` is its revision still. */
  put(role: ServerRole, epoch: number, known: number): boolean {
    if ((this.lease?.revision ?? 0) !== known) return false;
    this.revisions += 1;
    this.lease = { role, epoch, revision: this.revisions };
    return true;
  }
}

/** One server's side of it: keeps its own lease alive while it serves, and knows when the other's has ended. */
export class SimulatedLeaseKeeper {
  private seen: { readonly lease: SimulatedLease | null; readonly atMs: number } | null = null;
  private untilMs: number | null = null;

  constructor(
    private readonly role: ServerRole,
    private readonly leaseMs: number,
  ) {}

  /** Looks at the witness, and renews the lease of a server that serves under `epoch`. `witness` null: it cannot be reached. */
  look(witness: SimulatedWitness | null, serving: boolean, epoch: number, nowMs: number): WitnessView {
    if (witness !== null) {
      this.see(witness, nowMs);
      const { lease } = witness;
      const mayRenew = lease === null || (lease.role === this.role && lease.epoch <= epoch) || this.isOver(nowMs);
      if (serving && mayRenew && (lease === null || lease.epoch <= epoch)) this.take(witness, epoch, nowMs);
    }
    return this.view(witness !== null, nowMs);
  }

  /** Tries to get the lease. */
  acquire(witness: SimulatedWitness, epoch: number, nowMs: number): boolean {
    this.see(witness, nowMs);
    const { lease } = witness;
    if (lease !== null && lease.epoch >= epoch) return false;
    if (lease !== null && lease.role !== this.role && !this.isOver(nowMs)) return false;
    return this.take(witness, epoch, nowMs);
  }

  private take(witness: SimulatedWitness, epoch: number, nowMs: number): boolean {
    if (!witness.put(this.role, epoch, witness.lease?.revision ?? 0)) return false;
    this.untilMs = nowMs + this.leaseMs;
    this.see(witness, nowMs);
    return true;
  }

  private see(witness: SimulatedWitness, nowMs: number): void {
    if (this.seen === null || this.seen.lease?.revision !== witness.lease?.revision)
      this.seen = { lease: witness.lease, atMs: nowMs };
  }

  private isOver(nowMs: number): boolean {
    return this.seen !== null && nowMs > this.seen.atMs + this.leaseMs * 1.01;
  }

  private view(reachable: boolean, _nowMs: number): WitnessView {
    const lease = this.seen?.lease ?? null;
    return {
      reachable,
      leaseUntilMs: this.untilMs,
      holder: lease && { role: lease.role, epoch: lease.epoch },
      takeableAtMs: this.seen === null ? null : this.seen.atMs + this.leaseMs * 1.01,
    };
  }
}
