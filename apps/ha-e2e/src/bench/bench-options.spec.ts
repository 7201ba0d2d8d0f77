import { describe, expect, it } from '@jest/globals';
import { readBenchOptions } from './bench-options.ts';
import { BENCH_KINDS } from './measured-run.ts';

const ignore = () => undefined;

describe('the command line of the failover benchmark', () => {
  it('has a default for everything', () => {
    expect(readBenchOptions([], ignore)).toEqual({ kinds: BENCH_KINDS, runs: 5, layout: 'separate', idleSeconds: 60 });
  });

  it('takes what is given', () => {
    const words = ['--kinds', 'failback, host-death', '--runs', '10', '--layout', 'composed', '--json', 'report.json'];
    expect(readBenchOptions(words, ignore)).toMatchObject({
      kinds: ['failback', 'host-death'],
      runs: 10,
      layout: 'composed',
      json: 'report.json',
    });
  });

  it.each([
    [['--kinds', 'host-deth'], 'There is no host-deth.'],
    [['--kinds', ''], 'There is no'],
    [['--runs', '0'], 'It has to be a whole number'],
    [['--runs', '1.5'], 'It has to be a whole number'],
    [['--layout', 'one'], 'Allowed choices are separate, composed.'],
    [['--help'], 'Usage: npm run bench:failover --'],
    [['ten'], 'too many arguments'],
  ])('stops at %j and says what would be right', (words, text) => {
    const said: string[] = [];
    expect(() => readBenchOptions(words, (line) => said.push(line))).toThrow();
    expect(said.join('')).toContain(text);
  });
});
