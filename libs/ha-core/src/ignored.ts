import type { HaEventType } from './events.ts';
import type { HaState } from './states.ts';

/** A reasoned gap of the table: these events change nothing in these states beyond what is known about the world. */
export interface Ignored {
  readonly states: readonly HaState[] | 'every-state';
  readonly events: readonly HaEventType[];
  readonly because: string;
}

/** Every (state, event) pair without a row. A pair that has rows whose guards all fail is ignored for the rows' own reasons. */
export const IGNORED: readonly Ignored[] = [
  {
    states: 'every-state',
    events: ['peer-answered-probe'],
    because: 'the peer lives: no takeover; only the beat is gone, which the link shows',
  },
  {
    states: 'every-state',
    events: ['peer-heard', 'database-observed', 'tick'],
    because: 'facts refresh what is known; only states that wait for a condition have rows for them',
  },
  {
    states: 'every-state',
    events: ['beat-answered', 'witness-observed'],
    because: 'facts refresh what is known; what follows from them is decided with the next tick at the latest',
  },
  {
    states: 'every-state',
    events: ['lease-answered'],
    because: 'no lease was asked for: a late answer changes nothing, and a lease that nobody uses ends by itself',
  },
  {
    states: 'every-state',
    events: ['peer-lost', 'peer-confirmed-lost'],
    because:
      'a server that serves or has nothing to lose goes on; the link shows the loss, and the standby decides about a takeover',
  },
  {
    states: 'every-state',
    events: ['process-failed', 'process-recovered'],
    because:
      'processes matter only where they serve; elsewhere the failure is known and weighed when service is opened',
  },
  {
    states: 'every-state',
    events: [
      'operator-register',
      'operator-failover',
      'operator-forced-failover',
      'operator-failback',
      'operator-activate-alone',
      'operator-remove',
      'operator-maintenance',
      'operator-maintenance-end',
      'operator-cancel',
      'operator-failover-type',
    ],
    because: 'refused with the failing condition',
  },
  {
    states: 'every-state',
    events: ['registration-begun', 'registration-abandoned'],
    because: 'refused: this server is paired, or the registration it belongs to has ended',
  },
  {
    states: 'every-state',
    events: ['replacement-begun'],
    because: 'refused with the failing condition: only an active secondary that has lost its primary gets another one',
  },
  {
    states: 'every-state',
    events: ['pair-dissolved'],
    because:
      'of another pair, or of a server that is not paired; a primary whose secondary has dissolved the pair waits for its operator, who alone knows whose data are to be kept',
  },
  {
    states: 'every-state',
    events: ['hand-over-requested', 'consent-requested'],
    because: 'refused: a server that serves, or is not paired, gives no consent by this way',
  },
  {
    states: 'every-state',
    events: ['consent-answered'],
    because: 'no request is outstanding: a late answer changes nothing',
  },
  {
    states: 'every-state',
    events: ['effects-completed', 'effect-failed'],
    because: 'outcomes that no row waits for are noted in the record: nothing is in flight any more',
  },
  {
    states: ['health-monitor-available'],
    events: ['boot'],
    because: 'never a state at rest: it is shown only while the record is being read',
  },
];
