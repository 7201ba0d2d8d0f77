import { DATABASE } from './database.ts';
import type { Telling } from './driver.ts';
import { FAILBACK_INTERRUPTED } from './failback-interrupted.ts';
import { NETWORK_DOWN } from './network-down.ts';
import { PROCESS_RESTART_FAILS } from './process-restart-fails.ts';
import { REMOVAL } from './removal.ts';
import { REPLACEMENT } from './replacement.ts';
import { RESTARTS } from './restarts.ts';
import { SWITCHES } from './switches.ts';
import { TAKEOVER } from './takeover.ts';

/** Every procedure of the specification, told once: played on a simulated pair, and on real ones, a pair for each group. */
export const TELLINGS = {
  ofOperators: [...REMOVAL, ...SWITCHES, ...REPLACEMENT],
  ofFailures: [...NETWORK_DOWN, ...PROCESS_RESTART_FAILS, ...TAKEOVER, ...RESTARTS],
  ofTheDatabase: [...DATABASE, ...FAILBACK_INTERRUPTED],
} as const satisfies Readonly<Record<string, readonly Telling[]>>;

export const ALL_TELLINGS: readonly Telling[] = Object.values(TELLINGS).flat();
