import { type ToldProtection, toldProtection } from './protection.ts';
import type { ServerRecord, WitnessView } from './server.ts';
import type { ServerRole } from './states.ts';
import { CLOCK_MARGIN } from './timing.ts';

/** What the holder of the lease says with it. */
export interface LeaseWord {
  readonly role: ServerRole;
  readonly epoch: number;
  /** Of its commits; absent: they have never waited for the standby. */
  readonly protection?: ToldProtection;
  /** Whoever had it has dissolved the pair, and serves on by itself: nobody gets this lease any more. */
  readonly dissolved?: true;
}

/** The lease as the witness keeps it. It has no clock: whoever wants the lease waits out the other's by its own. */
export interface Lease extends LeaseWord {
  /** Changes with each renewal; the lease is replaced only by whoever knows the last one. */
  readonly revision: number;
  /** Different for each renewal, also when the witness has lost its storage and counts anew. */
  readonly stamp: string;
}

/** What an owner of the role says with a renewal of its lease. */
export function renewal(record: ServerRecord): LeaseWord {
  const { role, hold } = record;
  const protection = toldProtection(record);
  return { role, epoch: hold, ...(protection.change === 0 ? {} : { protection }) };
}

/** What a server says that has dissolved the pair, when the lease was its own. Null: it was not, or that is said already. */
export function dissolution(role: ServerRole, lease: Lease | null): LeaseWord | null {
  return lease === null || lease.role !== role || lease.dissolved
    ? null
    : { role, epoch: lease.epoch, dissolved: true };
}

/**
 * What one server knows of the lease, on its own monotonic clock. Its own lasts from when it asked for it; the other's has ended when no
 * renewal was seen for longer than that. Both together: before a lease is taken over, its former holder knows that it has ended.
 */
export class LeaseKnowledge {
  private seen: { readonly lease: Lease | null; readonly atMs: number } | null = null;
  private untilMs: number | null = null;

  constructor(
    private readonly role: ServerRole,
    private readonly leaseMs: number,
  ) {}

  /** The revision that a replacement must name; 0: there has never been a lease. */
  get revision(): number {
    return this.seen?.lease?.revision ?? 0;
  }

  /** Whether the peer has dissolved the pair. */
  get isDissolved(): boolean {
    return this.seen?.lease?.dissolved === true;
  }

  /** The witness says that this is the lease now. */
  see(lease: Lease | null, atMs: number): void {
    if (this.seen === null || this.seen.lease?.stamp !== lease?.stamp) this.seen = { lease, atMs };
  }

  /** Whether a server that owns the role under `epoch` may renew the lease, or get it for the first time. */
  mayRenew(epoch: number, atMs: number): boolean {
    if (this.seen === null || this.isDissolved) return false;
    const { lease } = this.seen;
    // a witness that knows nothing may be new, or may have forgotten a lease that still runs
    if (lease === null) return this.isHeld(atMs) || this.isOver(atMs);
    return lease.epoch <= epoch && (lease.role === this.role || this.isOver(atMs));
  }

  /** Whether a server may take the lease under a new epoch. */
  mayTake(epoch: number, atMs: number): boolean {
    return this.mayRenew(epoch, atMs) && (this.seen?.lease?.epoch ?? 0) < epoch;
  }

  /** The lease was given to this server, which had asked for it at `askedAtMs`. */
  taken(lease: Lease, askedAtMs: number): void {
    this.untilMs = askedAtMs + this.leaseMs;
    this.seen = { lease, atMs: askedAtMs };
  }

  /** What the state machine needs to know. */
  view(reachable: boolean): WitnessView {
    const lease = this.seen?.lease ?? null;
    return {
      reachable,
      leaseUntilMs: this.untilMs,
      holder: lease && {
        role: lease.role,
        epoch: lease.epoch,
        ...(lease.protection === undefined ? {} : { protection: lease.protection }),
      },
      takeableAtMs: this.seen === null || this.isDissolved ? null : this.seen.atMs + this.leaseMs * CLOCK_MARGIN,
    };
  }

  private isHeld(atMs: number): boolean {
    return this.untilMs !== null && atMs < this.untilMs;
  }

  private isOver(atMs: number): boolean {
    return this.seen !== null && atMs > this.seen.atMs + this.leaseMs * CLOCK_MARGIN;
  }
}
