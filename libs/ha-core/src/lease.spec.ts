import { expect, it } from '@jest/globals';
import { LeaseKnowledge } from './lease.ts';

it('a renewal is one although the witness has lost its storage and counts as before', () => {
  const knowledge = new LeaseKnowledge('secondary', 1000);
  const lease = { role: 'primary', epoch: 1, revision: 5 } as const;
  knowledge.see({ ...lease, stamp: 'a' }, 0);
  expect(knowledge.mayTake(2, 1011)).toBe(true);
  knowledge.see({ ...lease, stamp: 'b' }, 1011);
  expect(knowledge.mayTake(2, 1011)).toBe(false);
  expect(knowledge.mayTake(2, 2022)).toBe(true);
});
