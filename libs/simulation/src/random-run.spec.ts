import { describe, expect, it } from '@jest/globals';
import { PLANTED_FAULTS } from './planted-faults.ts';
import { DEEDS, randomRun } from './random-run.ts';
import { reportOf } from './simulate-run.ts';

const FIRST = 1 + Number(process.env.UNDERSTUDY_FIRST_SEED ?? 0);
const SEEDS = Number(process.env.UNDERSTUDY_SEEDS ?? 32);

describe('a simulated pair under random faults', () => {
  it(`keeps the laws and settles within minutes after the faults (${SEEDS} seeds)`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const { broken, trace } = await reportOf(seed, {});
      expect(`${seed}: ${broken ?? 'all kept'}\n${trace ?? ''}`).toBe(`${seed}: all kept\n`);
    }
  }, 300_000);

  it('repeats a run to the letter', async () => {
    const twice = [await reportOf(3, { keepsTrace: true }), await reportOf(3, { keepsTrace: true })];
    expect(twice[0]).toEqual(twice[1]);
  });

  it('goes through every fault and order, and every kind of witness', async () => {
    const done = new Set<string>();
    const witnesses = new Set<string>();
    for (let seed = 1; seed <= 12; seed++) {
      const { pair } = await randomRun(seed);
      witnesses.add(pair.variant.witness);
      for (const name of Object.keys(pair.tally.faults)) done.add(name);
    }
    expect([...witnesses].sort()).toEqual(['gateway', 'nats', 'none']);
    expect(Object.keys(DEEDS).filter((name) => !done.has(name))).toEqual([]);
  }, 60_000);

  it.each(Object.keys(PLANTED_FAULTS))(
    'notices %s',
    async (plant) => {
      for (let seed = 1; ; seed++) {
        const { broken } = await randomRun(seed, { plant });
        if (broken !== null) return;
        expect(seed).toBeLessThan(400);
      }
    },
    240_000,
  );
});
