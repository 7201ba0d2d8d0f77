import { describe, expect, it } from '@jest/globals';
import { type ChaosReport, type FaultRecord, type GroupRecord, toMarkdown } from './chaos-report.ts';

function fault(kind: string, wasDone = true): FaultRecord {
  return { kind, target: 'alpha', beginMs: 1000, endMs: 3000, note: wasDone ? '' : 'no postgres on alpha', wasDone };
}

function group(number: number, changes: Partial<GroupRecord>): GroupRecord {
  return {
    number,
    planned: '',
    at: '',
    beginMs: 1000,
    faults: [],
    activeBefore: 'alpha',
    activeAfter: 'beta',
    outageMs: 4200,
    restMs: 9000,
    load: 1,
    ...changes,
  };
}

const REPORT: ChaosReport = {
  at: '2025-11-24T02:13:45Z',
  machine: 'a machine',
  versions: { PostgreSQL: '15' },
  settings: { seed: '7' },
  isInterrupted: false,
  minutes: 3,
  groups: [],
  takeovers: 2,
  pairsBuilt: 1,
  runnerRestarts: 0,
  windows: [],
  rows: { acknowledged: 10, present: 9, setAside: 1, unaccounted: 0, notChecked: 0, unknown: 0 },
  operatorActions: [],
  violations: [],
  loadAverage: { begin: 1, highest: 2, end: 1 },
  notTried: ['Jumps of the clock'],
};

describe('the report of a chaos run', () => {
  it('says so when nothing is wrong, and what was not tried', () => {
    const text = toMarkdown(REPORT);
    expect(text).toContain('**No violation.**');
    expect(text).toContain('| set aside, and named by an event | 1 |');
    expect(text).toContain('* Jumps of the clock');
  });

  it('names every violation with its evidence', () => {
    const violations = [
      { kind: 'dead end', group: 3, details: 'Primary Alone / Secondary Lost Primary', account: 'the log' },
      { kind: 'dead end', group: 9, details: 'alpha does not answer', account: '' },
    ] as const;
    const text = toMarkdown({ ...REPORT, violations });
    expect(text).toContain('**2 violations: 2 x dead end.**');
    expect(text).toContain('### 1. dead end, group 3');
    expect(text).toContain('the log');
  });

  it('tells outages of a fault alone and with another apart, what was not possible, and what never came to rest', () => {
    const groups = [
      group(1, { faults: [fault('kill server')] }),
      group(2, { faults: [fault('kill server'), fault('cut the link')], outageMs: 7700, restMs: null }),
      group(3, { faults: [fault('cut the link'), fault('kill postgres', false)], outageMs: 1000 }),
    ];
    const text = toMarkdown({ ...REPORT, groups });
    expect(text).toContain('| kill server | 2 | 0 | 4.2 s | 7.7 s | never |');
    expect(text).toContain('| cut the link | 2 | 0 | 1.0 s | 7.7 s | never |');
    expect(text).toContain('| kill postgres | 0 | 1 |  |  |  |');
    expect(text).toContain('kill postgres (alpha) not possible: no postgres on alpha');
  });

  it('tells windows within what is promised from those that are not', () => {
    const window = {
      older: { server: 'alpha', timeline: 1 },
      newer: { server: 'beta', timeline: 2 },
      fromMs: 0,
      toMs: 2500,
      rows: 4,
    } as const;
    const text = toMarkdown({
      ...REPORT,
      windows: [
        { ...window, excuse: null },
        { ...window, excuse: 'a cut' },
      ],
    });
    expect(text).toContain('| windows of two writable servers | 1, and 1 within what is promised |');
    expect(text).toContain('acknowledged 4 rows over 2.5 s that were begun after beta');
  });
});
