import { setTimeout as pauseUntil } from 'node:timers/promises';
import { monotonicMs } from '../real-pair/deadline.ts';
import type { ServerName } from './acknowledged-write.ts';
import type { ChaosPair } from './chaos-pair.ts';
import { type FaultGroup, type ScheduledFault, targetsServer } from './schedule.ts';
import { type Struck, strike } from './strike.ts';
import type { CarriedOut } from './windows.ts';

/** A fault of a group as it went. */
export interface DoneFault extends CarriedOut {
  readonly endMs: number;
  readonly wasDone: boolean;
  /** Why it was not done, or what came of it. */
  readonly note: string;
}

/**
 * Carries a group out and returns when every fault of it has been mended, at once when `signal` is aborted. Sides are those of the
 * begin of the group: `active` names the server.
 */
export async function carryOut(
  group: FaultGroup,
  active: ServerName,
  chaos: ChaosPair,
  signal: AbortSignal,
): Promise<DoneFault[]> {
  return Promise.all(group.faults.map((fault) => carryOutOne(fault, active, chaos, signal)));
}

async function carryOutOne(
  { kind, on, beginMs, endMs }: ScheduledFault,
  active: ServerName,
  chaos: ChaosPair,
  signal: AbortSignal,
): Promise<DoneFault> {
  const standby = active === 'alpha' ? 'beta' : 'alpha';
  const victim = on === 'active' ? active : standby;
  const server = targetsServer(kind) ? victim : null;
  await pauseUnlessAborted(beginMs, signal);
  const strikeMs = monotonicMs();
  const fault = { name: kind.name, server, beginMs: strikeMs };
  let struck: Struck;
  try {
    if (signal.aborted) throw new Error('interrupted');
    struck = await strike(kind, chaos.server(victim), chaos);
  } catch (error) {
    return { ...fault, endMs: monotonicMs(), wasDone: false, note: messageOf(error) };
  }
  await pauseUnlessAborted(endMs - beginMs, signal);
  let note = struck.note ?? '';
  try {
    await struck.mend();
  } catch (error) {
    note = `${note} could not be mended: ${messageOf(error)}`.trim();
  }
  return { ...fault, endMs: monotonicMs(), wasDone: true, note };
}

/** Pauses, and goes on early when `signal` is aborted. */
export async function pauseUnlessAborted(milliseconds: number, signal: AbortSignal): Promise<void> {
  await pauseUntil(milliseconds, undefined, { signal }).catch(() => {});
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
