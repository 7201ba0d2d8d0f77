import { describe, expect, it } from '@jest/globals';
import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';
import type { DoneFault } from './carry-out.ts';
import type { ChaosPair } from './chaos-pair.ts';
import { Checker } from './checker.ts';

function row(server: ServerName, timeline: number, atMs: number): AcknowledgedWrite {
  return { run: server, sequence: atMs, server, startMs: atMs - 5, acknowledgedMs: atMs, timeline, transaction: atMs };
}

function fault(name: string, server: ServerName | null): DoneFault {
  return { name, server, beginMs: 0, endMs: 400, wasDone: true, note: '' };
}

/** A pair about which only what the observers saw is known. */
function pairWith(seen: {
  writes?: AcknowledgedWrite[];
  bothApplications?: string[];
  twoActives?: string[];
}): ChaosPair {
  const { writes = [], bothApplications = [], twoActives = [] } = seen;
  return {
    writes,
    twoActives,
    pair: { application: { runningOnBoth: () => bothApplications } },
  } as unknown as ChaosPair;
}

const TWO_WRITABLE = [row('alpha', 1, 100), row('beta', 2, 200), row('alpha', 1, 300)];

describe('the checker', () => {
  it('finds nothing where nothing is wrong', () => {
    const writes = [row('alpha', 1, 100), row('beta', 2, 200), row('alpha', 3, 300)];
    expect(new Checker(pairWith({ writes }), true).afterFaults([fault('kill server', 'alpha')])).toEqual([]);
  });

  it('finds two writable servers, once', () => {
    const checker = new Checker(pairWith({ writes: TWO_WRITABLE }), true);
    expect(checker.afterFaults([fault('cut the link', 'alpha')])).toMatchObject([{ kind: 'two writable servers' }]);
    expect(checker.afterFaults([])).toEqual([]);
    expect(checker.windows).toMatchObject([{ rows: 1, excuse: null }]);
  });

  it('finds them again when they go on after what excused them', () => {
    const writes = [...TWO_WRITABLE];
    const checker = new Checker(pairWith({ writes }), true);
    expect(checker.afterFaults([fault('freeze server', 'alpha')])).toEqual([]);
    writes.push(row('alpha', 1, 5000));
    expect(checker.afterFaults([])).toMatchObject([{ kind: 'two writable servers' }]);
  });

  it('takes a fault that could not be done for no excuse', () => {
    const checker = new Checker(pairWith({ writes: TWO_WRITABLE }), true);
    expect(checker.afterFaults([{ ...fault('freeze server', 'alpha'), wasDone: false }])).toHaveLength(1);
  });

  it('finds an application on both servers, and two actives that hear each other', () => {
    const bothApplications = ['n2 started at 02:13:45.123 while the other runs'];
    const pair = pairWith({ bothApplications, twoActives: ['alpha: ..., beta: ...'] });
    expect(new Checker(pair, true).afterFaults([fault('kill server', 'alpha')]).map(({ kind }) => kind)).toEqual([
      'the application ran on both servers',
      'two actives that hear each other',
    ]);
  });
});
