import { Injectable } from '@nestjs/common';
import { ProblemError } from '../domain/problem.ts';
import { RateLimit } from '../domain/rate-limit.ts';
import { Clock } from '../ports/clock.port.ts';

/** Registration is open to strangers: each source, and all of them together, may only ask so often. */
@Injectable()
export class RegistrationGateService {
  private readonly perSource = new RateLimit(30, 0.5);
  private readonly together = new RateLimit(60, 2);

  constructor(private readonly clock: Clock) {}

  /** Throws a 429 when the source has to wait. */
  enter(source: string): void {
    const atMs = this.clock.nowMs();
    if (this.perSource.take(source, atMs) && this.together.take('all', atMs)) return;
    const detail = 'Too many registration requests; try again in a moment.';
    throw new ProblemError(429, 'too-many-attempts', detail, { headers: { 'retry-after': '5' } });
  }
}
