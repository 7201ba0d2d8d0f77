import { describe, expect, it } from '@jest/globals';
import { faultKindsFor } from './fault-kinds.ts';
import { describeGroup, type FaultGroup, faultGroups } from './schedule.ts';

const KINDS = faultKindsFor({ layout: 'separate', hasWitness: true });

function groupsOf(seed: number, count: number, kinds = KINDS): FaultGroup[] {
  const generator = faultGroups(seed, kinds);
  return Array.from({ length: count }, () => generator.next().value);
}

describe('the schedule of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(groupsOf(7, 100)).toEqual(groupsOf(7, 100));
    expect(groupsOf(7, 20)).toEqual(groupsOf(7, 100).slice(0, 20));
    expect(groupsOf(8, 100)).not.toEqual(groupsOf(7, 100));
  });

  it('has every kind of fault before it begins anew', () => {
    const seen = groupsOf(1, KINDS.length).flatMap(({ faults }) => faults.map(({ kind }) => kind.name));
    expect(new Set(seen.slice(0, KINDS.length))).toEqual(new Set(KINDS.map(({ name }) => name)));
  });

  it.each([1, 2, 3, 4, 5])(
    'ends each fault, has at most two at once, and leaves time to rest between (seed %i)',
    (seed) => {
      for (const { faults, calmMs } of groupsOf(seed, 300)) {
        expect(faults.length).toBeGreaterThan(0);
        expect(faults.length).toBeLessThanOrEqual(2);
        expect(calmMs).toBeGreaterThanOrEqual(1000);
        for (const { kind, beginMs, endMs, on } of faults) {
          expect(beginMs).toBeGreaterThanOrEqual(0);
          expect(endMs - beginMs).toBeGreaterThanOrEqual(kind.seconds[0] * 1000);
          expect(endMs - beginMs).toBeLessThanOrEqual(kind.seconds[1] * 1000);
          if (kind.on) expect(on).toBe(kind.on);
        }
      }
    },
  );

  it('never lets manager and runner of a server stand still at once', () => {
    const together = groupsOf(3, 3000).filter(({ faults }) => {
      const names = faults.map(({ kind }) => kind.name);
      return names.includes('freeze runner') && names.includes('freeze health-monitor');
    });
    expect(together).toEqual([]);
  });

  it('leaves the witness alone where there is none, and the services where they are one process', () => {
    const names = faultKindsFor({ layout: 'composed', hasWitness: false }).map(({ name }) => name);
    expect(names.filter((name) => /witness|part the servers|heartbeat/.test(name))).toEqual([]);
    expect(names).toContain('kill composed');
    expect(new Set(names).size).toBe(names.length);
  });

  it('is told in words', () => {
    const [kill, cut] = ['kill server', 'cut the link'].map((name) => KINDS.find((kind) => kind.name === name));
    if (!kill || !cut) throw new Error('no such kind');
    const faults = [
      { kind: kill, on: 'active', beginMs: 0, endMs: 2500 },
      { kind: cut, on: 'standby', beginMs: 1000, endMs: 4000 },
    ] as const;
    expect(describeGroup({ faults, calmMs: 1000, givesRoleBack: false })).toBe(
      'kill server (active) for 2.5 s, after 1.0 s cut the link (standby) for 3.0 s',
    );
  });
});
