import { describe, expect, it } from '@jest/globals';
import { type MeasuredRun, spread } from './measured-run.ts';
import { toMarkdown } from './report.ts';

const RUN: MeasuredRun = {
  kind: 'host-death',
  outageMs: 6500,
  lostRows: 0,
  lostRowsAfterReturn: 0,
  unknownRows: 1,
  acknowledgedRows: 200,
  rejoinMs: 8000,
  setAsideRows: null,
  loadBefore: 0.5,
};

describe('spread', () => {
  it.each([
    [[3, 1, 2], { min: 1, median: 2, max: 3 }],
    [[4, 1, 2, 3], { min: 1, median: 2.5, max: 4 }],
  ])('of %j', (numbers, expected) => expect(spread(numbers)).toEqual(expected));
  it('of nothing is nothing', () => expect(spread([])).toBeUndefined());
});

describe('toMarkdown', () => {
  it('has a row for each kind that was measured, with its spread, its losses and its rejoin', () => {
    const text = toMarkdown({
      at: '2026-01-02T03:04:05Z',
      machine: 'a machine',
      versions: { PostgreSQL: '15' },
      settings: { layout: 'separate' },
      runs: [RUN, { ...RUN, outageMs: 7000, lostRows: 2 }, { ...RUN, kind: 'failback', rejoinMs: null }],
      footprints: [{ layout: 'composed', server: 'alpha', processes: 2, pssMib: 200.4, cpuPercent: 1.23, seconds: 60 }],
    });
    expect(text).toContain('Measured 2026-01-02 on a machine; PostgreSQL 15.');
    expect(text).toContain('| host death | 2 | 6.50 s | 6.75 s | 7.00 s | 2 of 400 | 0 | 2 | 8.00 s (8.00 s) | 0.5 |');
    expect(text).toContain('| failback | 1 | 6.50 s | 6.50 s | 6.50 s | 0 of 200 | 0 | 1 |  | 0.5 |');
    expect(text).toContain('| composed | alpha | 2 | 200 MiB | 1.2 % of a core over 60 s |');
  });
});
