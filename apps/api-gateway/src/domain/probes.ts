import type { StatusView } from '@understudy/contracts';

/** What a probe answers: 200 when `ok`, else 503. */
export interface ProbeAnswer {
  readonly ok: boolean;
  readonly state: string | null;
  readonly currentRole: string | null;
  readonly reason: string;
}

/** The three questions of load balancers and scripts. */
export type Probe = 'health' | 'active' | 'standby';

/** Answers a probe from the status; `status` null means that the health-monitor did not answer, and unknown is not healthy. */
export function answerProbe(probe: Probe, status: StatusView | null): ProbeAnswer {
  if (!status) return { ok: false, state: null, currentRole: null, reason: 'the health-monitor does not answer' };
  const reason = objection(probe, status);
  return { ok: reason === '', state: status.state, currentRole: status.currentRole, reason };
}

function objection(probe: Probe, status: StatusView): string {
  const { currentRole, state, database, processes, configurationMode } = status;
  if (probe !== 'health') return currentRole === probe ? '' : `the current role is ${currentRole}`;
  // a secondary that waits to be registered has no database to run
  const needsDatabase = currentRole === 'active' || configurationMode !== 'HA Not Configured' || database.running;
  if (needsDatabase && (!database.running || !database.usable)) return `the database is not usable in state ${state}`;
  const silentSeconds = status.record?.silentSeconds ?? null;
  if (silentSeconds !== null) return `the journal of decisions has not answered for ${silentSeconds} s`;
  const failed = processes.find((process) => process.critical && process.state === 'failed');
  return failed ? `the critical process ${failed.name} has failed` : '';
}
