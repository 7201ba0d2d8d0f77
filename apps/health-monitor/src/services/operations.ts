import type { OperationView } from '@understudy/contracts';
import type { Decision } from '@understudy/ha-core';
import type { EffectProgress } from '@understudy/ha-runtime';
import type { Clock } from '@understudy/platform';
import { stepText } from '../domain/step-text.ts';

const KEPT = 100;

/** The operations of this server: the running one as the state machine has it, and how earlier ones ended. */
export class Operations {
  private readonly known = new Map<string, OperationView>();

  constructor(private readonly clock: Clock) {}

  /** Follows a decision: an operation may have begun or ended with it. */
  follow(decision: Decision): void {
    const { operation } = decision.server.record;
    if (operation !== null && !this.known.has(operation.id)) this.begin(operation.id, operation.kind);
    const ended = decision.operationEnded;
    if (ended === null) return;
    if (!this.known.has(ended.id)) this.begin(ended.id, ended.kind);
    this.end(
      ended.id,
      ended.succeeded ? 'succeeded' : ended.reason.includes('cancelled') ? 'cancelled' : 'failed',
      ended.succeeded ? null : ended.reason,
    );
  }

  /** All operations, newest first; the running one with its present step, between two steps with the last. */
  list(progress: EffectProgress | null): OperationView[] {
    if (progress !== null)
      for (const operation of this.known.values())
        if (operation.state === 'running')
          this.known.set(operation.id, {
            ...operation,
            step: stepText(progress.step),
            progressPercent: progress.percent,
          });
    return [...this.known.values()].reverse();
  }

  private begin(id: string, kind: string): void {
    this.known.set(id, {
      id,
      kind,
      state: 'running',
      step: 'started',
      progressPercent: null,
      startedAt: this.now(),
      finishedAt: null,
      error: null,
    });
    for (const oldest of this.known.keys()) {
      if (this.known.size <= KEPT) break;
      this.known.delete(oldest);
    }
  }

  private end(id: string, state: OperationView['state'], error: string | null): void {
    const operation = this.known.get(id);
    if (operation !== undefined)
      this.known.set(id, {
        ...operation,
        state,
        step: 'ended',
        progressPercent: state === 'succeeded' ? 100 : null,
        finishedAt: this.now(),
        error,
      });
  }

  private now(): string {
    return new Date(this.clock.unixMs()).toISOString();
  }
}
