import { FACTS } from '../events.ts';
import type { HaState } from '../states.ts';
import type { Rule } from './rule.ts';

const SOURCE = 'docs/decisions/0013-synchronous-replication.md';

/**
 * The rows about commits that wait for the standby, the same on both servers. `side`: first letter of the rows' ids; `active`: the state
 * in which it serves and is followed.
 */
export function synchronousRules(side: 'P' | 'S', active: HaState, paired: readonly HaState[]): readonly Rule[] {
  return [
    {
      id: `${side}-160`,
      from: [active],
      on: FACTS,
      when: [
        'replicates-synchronously',
        'opened',
        'idle',
        'commits-do-not-wait',
        'streaming',
        'peer-of-our-pair',
        'standby-caught-up',
      ],
      to: null,
      change: ['have-commits-wait'],
      says: 'commits begin to wait for the standby',
      spec: SOURCE,
    },
    {
      id: `${side}-161`,
      from: paired,
      on: FACTS,
      when: ['opened', 'commits-begin-to-wait', 'commits-confirmed', 'streaming'],
      to: null,
      change: ['protect-standby'],
      says: 'the standby has everything: no commit is acknowledged that it has not got',
      spec: SOURCE,
    },
    {
      id: `${side}-162`,
      from: paired,
      on: FACTS,
      when: ['opened', 'commits-wait', 'standby-detached'],
      to: null,
      change: ['expose-standby'],
      says: 'the standby is gone: commits wait until it is known that it may miss them',
      spec: SOURCE,
    },
    {
      id: `${side}-163`,
      from: paired,
      on: [...FACTS, 'witness-observed'],
      when: ['waiting-is-ending', 'exposure-known'],
      to: null,
      change: ['no-commit-waits'],
      says: 'commits do not wait for the standby any more: it may miss what is acknowledged from now on',
      spec: SOURCE,
    },
    {
      id: `${side}-164`,
      from: paired,
      on: FACTS,
      when: ['commits-begin-to-wait', 'standby-detached'],
      to: null,
      change: ['no-commit-waits'],
      says: 'the standby is gone before it had everything: commits do not wait for it',
      spec: SOURCE,
    },
  ];
}
