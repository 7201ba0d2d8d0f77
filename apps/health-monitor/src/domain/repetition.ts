import type { Decision, HaEvent } from '@understudy/ha-core';

const QUIET_MS = 60_000;

/** Keeps the event list free of what was said just before: the same rule, in the same state. What an operator orders is no repetition. */
export class Repetition {
  private last: { readonly rule: string; readonly atMs: number } | null = null;

  /** Whether it was said just before; otherwise it counts as said now. */
  isOne({ rule, previousState, server }: Decision, cause: HaEvent, nowMs: number): boolean {
    const { last } = this;
    const isRepeated = last !== null && rule?.id === last.rule && nowMs - last.atMs < QUIET_MS;
    if (isRepeated && server.record.state === previousState && !cause.type.startsWith('operator-')) return true;
    this.last = { rule: rule?.id ?? '', atMs: nowMs };
    return false;
  }
}
