import type { StatusView } from '@understudy/contracts';
import type { ServerName } from './acknowledged-write.ts';

/** Both servers' statuses; null: no answer. */
export interface PairStatus {
  readonly alpha: StatusView | null;
  readonly beta: StatusView | null;
}

/** Which server is active in a pair at rest; or why it is not at rest. */
export type Rest = { readonly active: ServerName } | { readonly reason: string };

/** A pair is at rest when one server is active and protected, the other follows, nothing is under way, and both hear whom they should. */
export function restOf({ alpha, beta }: PairStatus, hasWitness: boolean): Rest {
  if (alpha === null || beta === null) return { reason: `${alpha === null ? 'alpha' : 'beta'} does not answer` };
  const states = `${alpha.state} / ${beta.state}`;
  const active =
    states === 'Primary Active / Secondary Syncing'
      ? 'alpha'
      : states === 'Primary Syncing / Secondary Active'
        ? 'beta'
        : null;
  if (active === null) return { reason: states };
  const [serving, following] = active === 'alpha' ? [alpha, beta] : [beta, alpha];
  if (serving.currentRole !== 'active') return { reason: `${states}, but ${active} does not serve` };
  if (following.currentRole === 'active') return { reason: `${states}, but both serve` };
  if (!serving.database.protected) return { reason: `${states}, not protected` };
  if (!following.database.streaming) return { reason: `${states}, the standby does not stream` };
  for (const status of [alpha, beta]) {
    const { name } = status.node;
    if (!status.peer?.reachable) return { reason: `${states}, ${name} does not reach its peer` };
    if (status.operation) return { reason: `${states}, operation ${status.operation.kind} on ${name}` };
    if (status.maintenance) return { reason: `${states}, maintenance on ${name}` };
    if (hasWitness && !status.witness?.reachable) return { reason: `${states}, ${name} does not reach the witness` };
  }
  const idle = serving.processes.find(({ critical, state }) => critical && state !== 'running');
  if (idle) return { reason: `${states}, ${idle.name} is ${idle.state}` };
  return { active };
}

/** Something that an operator does for a pair that does not come to rest by itself. */
export interface OperatorStep {
  /** Names it in the report. */
  readonly name: string;
  readonly on: ServerName;
  /** A request below /api/v1; null: `node run` is stopped and started again. */
  readonly request: { readonly path: string; readonly body: Record<string, unknown> } | null;
}

/**
 * What the operator's guide (docs/operations) has an operator do in this situation, tried in order; empty when there is nothing.
 * Data are given up last.
 */
export function operatorSteps({ alpha, beta }: PairStatus): OperatorStep[] {
  const steps: OperatorStep[] = [];
  if (alpha?.state === 'Primary Database Copy Failed')
    steps.push({ name: 'restart alpha, whose full copy failed', on: 'alpha', request: null });
  const order = (on: ServerName, status: StatusView | null, action: string, body: Record<string, unknown>) => {
    if (!status?.availableActions.includes(action)) return;
    const path = `/ha/${action === 'forced-failback' ? 'failback' : action}`;
    steps.push({ name: `${action} on ${on}`, on, request: { path, body } });
    if ('acceptDataLoss' in body) {
      const accepted = { path, body: { ...body, acceptDataLoss: true } };
      steps.push({ name: `${action} on ${on}, accepting a loss of data`, on, request: accepted });
    }
  };
  order('beta', beta, 'failover', { acceptDataLoss: false });
  order('alpha', alpha, 'activate-alone', { confirm: 'beta', acceptDataLoss: false });
  return steps;
}
