import { expect, it } from '@jest/globals';
import { dissolution, LeaseKnowledge } from './lease.ts';

it('a renewal is one although the witness has lost its storage and counts as before', () => {
  const knowledge = new LeaseKnowledge('secondary', 1000);
  const lease = { role: 'primary', epoch: 1, revision: 5 } as const;
  knowledge.see({ ...lease, stamp: 'a' }, 0);
  expect(knowledge.mayTake(2, 1011)).toBe(true);
  knowledge.see({ ...lease, stamp: 'b' }, 1011);
  expect(knowledge.mayTake(2, 1011)).toBe(false);
  expect(knowledge.mayTake(2, 2022)).toBe(true);
});

it('the lease of a pair that its owner has dissolved is nobody’s any more', () => {
  const own = { role: 'primary', epoch: 1, revision: 5, stamp: 'a' } as const;
  expect(dissolution('secondary', own)).toBeNull();
  expect(dissolution('primary', null)).toBeNull();
  const word = dissolution('primary', own);
  expect(word).toEqual({ role: 'primary', epoch: 1, dissolved: true });
  const dissolved = { ...own, dissolved: true, revision: 6, stamp: 'b' } as const;
  expect(dissolution('primary', dissolved)).toBeNull();
  const knowledge = new LeaseKnowledge('secondary', 1000);
  knowledge.see(dissolved, 0);
  expect(knowledge.isDissolved).toBe(true);
  expect(knowledge.mayTake(2, 60_000)).toBe(false);
  expect(knowledge.view(true).takeableAtMs).toBeNull();
  knowledge.see(null, 60_000);
  expect(knowledge.mayTake(2, 62_000)).toBe(true);
});
