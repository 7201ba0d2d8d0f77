import { describe, expect, it } from '@jest/globals';
import { BENCH_KINDS, readBenchOptions } from './bench-options.ts';
import { delaysOf } from './changes.ts';
import { isReached, type Row, toMarkdown } from './report.ts';

const ignore = () => undefined;

describe('the command line of the benchmark of files', () => {
  it('has a default for everything, and takes what is given', () => {
    expect(readBenchOptions([], ignore)).toMatchObject({ kinds: BENCH_KINDS, files: 20_000, largeMib: 1000 });
    const words = ['--kinds', 'block, first', '--files', '100000', '--directory', '/srv'];
    expect(readBenchOptions(words, ignore)).toMatchObject({
      kinds: ['first', 'block'],
      files: 100_000,
      directory: '/srv',
    });
  });

  it.each([
    [['--kinds', 'fist'], 'There is no fist.'],
    [['--files', '0'], 'It has to be a whole number'],
    [['--help'], 'Usage: npm run bench:files --'],
  ])('stops at %j and says what would be right', (words, text) => {
    let said = '';
    expect(() =>
      readBenchOptions(words, (more) => {
        said += more;
      }),
    ).toThrow();
    expect(said).toContain(text);
  });
});

describe('the table', () => {
  const limit = { of: 'ratio', value: 1 } as const;
  const row: Row = { what: 'first sync', unit: 's', own: 2, rsync: 1.9, rsyncDurable: 4, limit };

  it('says what was reached', () => {
    expect([row, { ...row, rsync: 2 }, { ...row, rsync: null }].map(isReached)).toEqual([false, true, false]);
    expect([2, 1.9].map((value) => isReached({ ...row, limit: { of: 'own', value } }))).toEqual([true, false]);
    const table = toMarkdown([row], new Date('2026-11-29T12:00:00Z'), 1.25);
    expect(table).toContain('Measured 2026-11-29 on ');
    expect(table).toContain('| first sync | 2.00 s | 1.90 s | 1.05 | 4.00 s | ratio <= 1 | no |');
  });

  it('has delays by their rank', () => {
    const delays = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(delaysOf(delays)).toEqual({ count: 200, p50: 101, p99: 199, max: 200 });
    expect(() => delaysOf([])).toThrow('nothing was measured');
  });
});
