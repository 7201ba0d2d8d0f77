import type { Telling } from './driver.ts';
import { NETWORK_DOWN } from './network-down.ts';
import { PROCESS_RESTART_FAILS } from './process-restart-fails.ts';
import { SWITCHES } from './switches.ts';
import { TAKEOVER } from './takeover.ts';

/** Every procedure of the specification, told once: played on a simulated pair and on a real one. */
export const TELLINGS: readonly Telling[] = [...NETWORK_DOWN, ...PROCESS_RESTART_FAILS, ...TAKEOVER, ...SWITCHES];
