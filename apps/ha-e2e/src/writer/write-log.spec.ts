import { describe, expect, it } from '@jest/globals';
import { WriteLog } from './write-log.ts';

function logOf(...lines: string[]): WriteLog {
  const log = new WriteLog();
  for (const line of lines) log.add(line);
  return log;
}

describe('WriteLog', () => {
  const log = logOf(
    'a 0.0 10.0 1 old',
    'a 60.0 70.0 2 old',
    'u 1200.0 3 old timed out',
    'e 1300.0 old connect ECONNREFUSED',
    'a 2000.0 2070.0 4 new',
    'a 2120.0 2130.0 5 new',
  );

  it('finds the longest outage that ended after the fault', () => {
    expect(log.longestOutageSince(100)).toEqual({ lastMs: 70, durationMs: 2000 });
    expect(log.longestOutageSince(2100)).toEqual({ lastMs: 2070, durationMs: 60 });
    expect(log.longestOutageSince(5000)).toBeUndefined();
  });

  it('counts rows of unknown outcome apart from acknowledged ones', () => {
    expect(log.acknowledged.map((row) => row.sequence)).toEqual([1, 2, 4, 5]);
    expect(log.unknown).toEqual([{ atMs: 1200, sequence: 3 }]);
    expect(log.errors).toEqual([{ atMs: 1300, text: 'old connect ECONNREFUSED' }]);
  });

  it('names the acknowledged rows that are missing', () => {
    expect(log.lost(new Set([1, 4, 5])).map((row) => row.sequence)).toEqual([2]);
  });

  it('parts the writes at a hole', () => {
    expect(log.spans(1000)).toEqual([
      { firstMs: 10, lastMs: 70, rows: 2 },
      { firstMs: 2070, lastMs: 2130, rows: 2 },
    ]);
  });

  it('is steady only without holes up to now', () => {
    expect(log.isSteady(2140, 60, 100)).toBe(true);
    expect(log.isSteady(2140, 500, 1000)).toBe(false);
    expect(log.isSteady(4000, 60, 100)).toBe(false);
  });
});
