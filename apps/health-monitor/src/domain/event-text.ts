import type { EventView } from '@understudy/contracts';
import { type ChangeName, type Decision, HA_STATE_LABELS, type HaEvent, type HaState } from '@understudy/ha-core';
import { stepText } from './step-text.ts';

/** What is said of something that happened; the event list adds id, time and server. */
export type NewEvent = Omit<EventView, 'id' | 'at' | 'server'>;

const CRITICAL: readonly HaState[] = ['primary-uncertain', 'secondary-uncertain', 'primary-database-copy-failed'];
const WARNING: readonly HaState[] = [
  'primary-lost-secondary',
  'secondary-lost-primary',
  'secondary-alone',
  'primary-alone',
  'primary-failover',
  'secondary-failover',
];

/** Changes after which the standby may miss something that is acknowledged. */
const EXPOSING: readonly ChangeName[] = ['expose-standby', 'no-commit-waits'];

/** The line of the event list for a decision, null for one that nobody needs to read. */
export function eventOf(decision: Decision, cause: HaEvent): NewEvent | null {
  const {
    rule,
    server: { record },
    previousState,
  } = decision;
  if (rule === null) return null;
  const detail = detailOf(cause);
  const failure = cause.type === 'effect-failed' ? ` (${stepText(cause.effect)}: ${cause.message})` : '';
  const changed = record.state !== previousState;
  const from = HA_STATE_LABELS[previousState];
  const to = HA_STATE_LABELS[record.state];
  const text = changed ? `${from} -> ${to}: ${rule.says}` : `${to}: ${rule.says}`;
  return {
    severity:
      CRITICAL.includes(record.state) && changed
        ? 'critical'
        : (changed && WARNING.includes(record.state)) ||
            failure !== '' ||
            EXPOSING.some((id) => rule.change?.includes(id))
          ? 'warning'
          : 'info',
    code: changed ? 'state-changed' : 'decision',
    message: `${text}${detail}${failure}`,
    state: to,
    previousState: changed ? from : null,
    rule: rule.id,
    epoch: record.epoch,
  };
}

/** What an operator has said with an order, and the peer with a refusal. */
function detailOf(cause: HaEvent): string {
  if (cause.type === 'operator-maintenance')
    return ` (${cause.reason}; for ${cause.minutes} minutes, until ${new Date(cause.unixMs + cause.minutes * 60_000).toISOString()})`;
  if (cause.type === 'consent-answered' && !cause.granted && cause.reason) return ` (${cause.reason})`;
  if (cause.type === 'operator-cancel') return ' (cancelled by an operator)';
  if (cause.type === 'operator-failover-type') return ` (${cause.failoverType})`;
  return '';
}
