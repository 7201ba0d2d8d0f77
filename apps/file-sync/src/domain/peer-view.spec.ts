import { describe, expect, it } from '@jest/globals';
import { fileSetState as set } from '../testing/file-set-state.ts';
import { told, withPeer } from './peer-view.ts';

const failures = (count: number) => ({
  errors: Array.from({ length: count }, (_, index) => ({ path: `f${index}`, message: 'permission denied' })),
  errorCount: count,
});

describe('what is shown of the other server', () => {
  it('is nothing as long as it tells nothing', () => {
    expect(withPeer({ fileSets: [set()] }, null).fileSets).toEqual([{ ...set(), peer: null }]);
  });

  it('is what it waits for and what it could not do', () => {
    const awaitingDeletion = { deletions: 30, files: 31 };
    const reason = 'waits for the confirmation of a deletion';
    const [shown] = withPeer(
      { fileSets: [set()] },
      told({ fileSets: [set({ reason, awaitingDeletion, ...failures(2) })] }),
    ).fileSets;
    expect(shown?.peer).toEqual({ reason, awaitingDeletion, ...failures(2) });
  });

  it('names a set that it has not, or in another class', () => {
    const heard = told({ fileSets: [set({ class: 'batch', reason: 'nobody is active' })] });
    const { fileSets } = withPeer({ fileSets: [set(), set({ name: 'licenses' })] }, heard);
    expect(fileSets.map(({ peer }) => peer?.reason)).toEqual([
      'its class is batch there and realtime here: give both servers the same; nobody is active',
      'no file set of this name is configured: give both servers the same',
    ]);
  });

  it('is at most three errors of each set, with the number of all', () => {
    const sets = ['settings', 'licenses'].map((name) => set({ name, ...failures(100) }));
    const { fileSets } = told({ fileSets: sets });
    expect(fileSets.map(({ errors, errorCount }) => [errors.length, errorCount])).toEqual([
      [3, 100],
      [3, 100],
    ]);
  });
});
