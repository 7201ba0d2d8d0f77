import type { Bus } from '@understudy/messaging';

/** Most that our own bus may take to answer. */
const LIMIT_MAX_MS = 1000;
const LIMIT_MIN_MS = 50;

/**
 * How long our own bus may take to answer, in ms: with the pause between two looks, a hanging bus is found out well before the
 * silence that it causes could be taken for a loss.
 */
export function ownBusLimitMs(lostAfterMs: number): number {
  return Math.min(LIMIT_MAX_MS, Math.max(LIMIT_MIN_MS, lostAfterMs / 4));
}

/**
 * Follows whether our own bus answers. One that hangs keeps its connections, so the connection alone says nothing until its pings
 * have failed for seconds; meanwhile every peer would look lost. `onChange` is told the present state first, then every change.
 * Returns the end of it.
 */
export function watchOwnBus(bus: Bus, limitMs: number, onChange: (answers: boolean) => void): () => void {
  let stopped = false;
  let told: boolean | null = null;
  let timer: NodeJS.Timeout | null = null;
  const tell = (answers: boolean) => {
    if (stopped || told === answers) return;
    told = answers;
    onChange(answers);
  };
  const look = async () => {
    tell(await bus.flush(limitMs));
    if (!stopped) timer = setTimeout(() => void look(), limitMs);
  };
  tell(bus.connected);
  // A lost connection is known at once; that it is back is believed when the bus answers.
  const unsubscribe = bus.onConnectionChange((connected) => {
    if (!connected) tell(false);
  });
  void look();
  return () => {
    stopped = true;
    unsubscribe();
    if (timer) clearTimeout(timer);
  };
}
