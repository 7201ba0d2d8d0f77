import type { TaskContext } from '../ports/task-context.ts';

/** Cancelled work that shows no progress for so long is not worth waiting for. */
const IDLE_LIMIT_MS = 60_000;

/** What shielded work gets. */
export interface Shield {
  /** Aborted when there is no more waiting for the work. */
  readonly signal: AbortSignal;
  /** Something was done. */
  worked(): void;
}

/**
 * Does something that should not be stopped half way. Cancelled, it goes on as long as it gets further; it is stopped only when it
 * stands still, or when the service ends.
 */
export async function shielded<T>(
  context: TaskContext,
  work: (shield: Shield) => Promise<T>,
  idleLimitMs = IDLE_LIMIT_MS,
): Promise<T> {
  const idle = new AbortController();
  let workedAtMs = performance.now();
  const timer = setInterval(() => {
    if (context.signal.aborted && performance.now() - workedAtMs > idleLimitMs) idle.abort(context.signal.reason);
  }, idleLimitMs / 20);
  const worked = () => {
    workedAtMs = performance.now();
  };
  try {
    return await work({ signal: AbortSignal.any([idle.signal, context.closing]), worked });
  } finally {
    clearInterval(timer);
  }
}
