import type { HaState } from '../states.ts';
import type { Rule } from './rule.ts';

const SOURCE = 'docs/decisions/0008-maintenance.md';

/** The rows about planned work, the same on both servers. `side`: first letter of the rows' ids. */
export function maintenanceRules(side: 'P' | 'S', paired: readonly HaState[]): readonly Rule[] {
  return [
    {
      id: `${side}-130`,
      from: paired,
      on: ['operator-maintenance'],
      when: [],
      to: null,
      change: ['begin-maintenance'],
      says: 'maintenance begins: no automatic failover until it ends',
      spec: SOURCE,
    },
    {
      id: `${side}-131`,
      from: paired,
      on: ['operator-maintenance-end'],
      when: [],
      to: null,
      change: ['end-maintenance'],
      says: 'maintenance is ended by the operator',
      spec: SOURCE,
    },
    {
      id: `${side}-132`,
      from: paired,
      on: ['tick'],
      when: ['maintenance-over'],
      to: null,
      change: ['end-maintenance'],
      says: 'maintenance has reached its time limit and ends',
      spec: SOURCE,
    },
  ];
}
