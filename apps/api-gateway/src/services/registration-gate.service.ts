import { Injectable } from '@nestjs/common';
import { ProblemError } from '../domain/problem.ts';
import { RateLimit } from '../domain/rate-limit.ts';
import { Clock } from '../ports/clock.port.ts';

/** What is open to strangers: each source, and all of them together, may only ask so often. */
class Gate {
  private readonly perSource: RateLimit;
  private readonly together: RateLimit;

  constructor(
    private readonly clock: Clock,
    private readonly what: string,
    burst: number,
    perSecond: number,
  ) {
    this.perSource = new RateLimit(burst, perSecond);
    this.together = new RateLimit(2 * burst, 4 * perSecond);
  }

  /** Throws a 429 when the source has to wait. */
  enter(source: string): void {
    const atMs = this.clock.nowMs();
    if (this.perSource.take(source, atMs) && this.together.take('all', atMs)) return;
    const detail = `Too many ${this.what}; try again in a moment.`;
    throw new ProblemError(429, 'too-many-attempts', detail, { headers: { 'retry-after': '5' } });
  }
}

/** The gate of registration. */
@Injectable()
export class RegistrationGateService extends Gate {
  constructor(clock: Clock) {
    super(clock, 'registration requests', 30, 0.5);
  }
}

/** That of readiness checks before registration: a gate of their own, so that they keep nobody from registering. */
@Injectable()
export class ReadinessGateService extends Gate {
  private readonly tickets: Gate;

  constructor(clock: Clock) {
    super(clock, 'readiness checks', 30, 0.5);
    this.tickets = new Gate(clock, 'readiness checks', 60, 2);
  }

  /** The same for one who brings a ticket. */
  present(source: string): void {
    this.tickets.enter(source);
  }
}
