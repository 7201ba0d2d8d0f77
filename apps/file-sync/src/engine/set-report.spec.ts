import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Aside } from './aside.ts';
import type { Problem, ScanResult } from './scanner.ts';
import { type Incident, SetReport } from './set-report.ts';

let said: Incident[];
let report: SetReport;

beforeEach(() => {
  said = [];
  report = new SetReport('set', (incident) => said.push(incident));
});

const problem = (path: string): Problem => ({ path, message: 'this server may not change it', isSkipped: false });
const looked = (...problems: Problem[]) => report.looked({ problems } as unknown as ScanResult);
const ran = (...problems: Problem[]) => report.ran({ awaiting: null, problems, changed: 0, receivedBytes: 0 }, 1);

describe('a file that run after run cannot be written', () => {
  beforeEach(() => {
    for (let run = 0; run < 3; run++) {
      looked();
      ran(problem('a'));
    }
  });

  it('is told of once', () => {
    expect(said).toMatchObject([{ code: 'file-not-synchronised', message: expect.stringContaining('a') }]);
  });

  it('is in the view from the first run to the one that writes it', () => {
    looked();
    expect(report.view).toMatchObject({ errorCount: 1, errors: [{ path: 'a' }] });
    ran();
    expect(report.view).toMatchObject({ errorCount: 0, errors: [] });
  });

  it('is told of again when it was over meanwhile', () => {
    ran();
    ran(problem('a'));
    expect(said).toHaveLength(2);
  });
});

describe('a file that cannot be read here', () => {
  it('is in the view after a run that has nothing to do, and is told of once', () => {
    for (let run = 0; run < 2; run++) {
      looked(problem('a'));
      ran();
    }
    expect(report.view).toMatchObject({ errorCount: 1, errors: [{ path: 'a' }] });
    expect(said).toHaveLength(1);
  });
});

describe('what is kept aside', () => {
  it('is named without what a terminal acts on', () => {
    const kept = ['a', Buffer.from('b\u009b31m\n').toString('latin1')];
    report.kept({ kept, folder: '/aside', told: () => undefined } as unknown as Aside);
    expect(said[0]?.message).toContain('"a", "b\\u009b31m\\n" here were');
  });
});
