import type { Candidate } from '@understudy/contracts';
import type { Clock } from '@understudy/platform';

const LIFETIME_MS = 60_000;
const BEARERS_MAX = 16;

/** Who has proven the key for readiness checks, by the ticket that both made of it. Kept in memory for a minute, and nowhere else. */
export class Bearers {
  private readonly known = new Map<string, { readonly candidate: Candidate; readonly untilMs: number }>();

  constructor(private readonly clock: Clock) {}

  admit(ticket: string, candidate: Candidate): void {
    const atMs = this.clock.nowMs();
    for (const [old, { untilMs }] of this.known)
      if (untilMs < atMs || this.known.size >= BEARERS_MAX) this.known.delete(old);
    this.known.set(ticket, { candidate, untilMs: atMs + LIFETIME_MS });
  }

  /** Null: no such ticket, or it has expired. */
  of(ticket: string): Candidate | null {
    const found = this.known.get(ticket);
    return found === undefined || this.clock.nowMs() > found.untilMs ? null : found.candidate;
  }
}
