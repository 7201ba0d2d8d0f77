import { describe, expect, it } from '@jest/globals';
import { commitsIn, stretchesOf } from './set-aside-folders.ts';

describe('what a set-aside folder holds', () => {
  it('is one stretch where the server parted on its last timeline', () => {
    const facts = {
      divergedFrom: { timeline: 3, lsn: '0/3000148' },
      ownEnd: { timeline: 3, lsn: '0/3009000' },
      ownBranch: [
        { timeline: 1, end: '0/2000000' },
        { timeline: 3, end: null },
      ],
    };
    expect(stretchesOf(facts)).toEqual([{ timeline: 3, start: '0/3000148', end: null }]);
  });

  it('is a stretch for each timeline that came after', () => {
    const facts = {
      divergedFrom: { timeline: 2, lsn: '0/3000148' },
      ownEnd: { timeline: 4, lsn: '0/5000000' },
      ownBranch: [
        { timeline: 2, end: '0/4000000' },
        { timeline: 4, end: null },
      ],
    };
    expect(stretchesOf(facts)).toEqual([
      { timeline: 2, start: '0/3000148', end: '0/4000000' },
      { timeline: 4, start: '0/4000000', end: null },
    ]);
  });

  it('is known by its commits, not by what was begun or rolled back', () => {
    const output = [
      'rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: 0/01500C28, prev 0/01500BF8, desc: COMMIT 2025-11-24 02:13:45.123456 UTC',
      'rmgr: Transaction len (rec/tot):     34/    34, tx:        736, lsn: 0/01500C50, prev 0/01500C28, desc: ABORT 2025-11-24 02:13:45.223456 UTC',
      'rmgr: Heap        len (rec/tot):     59/    59, tx:        737, lsn: 0/01500C80, prev 0/01500C50, desc: INSERT off 3 flags 0x00',
    ].join('\n');
    expect(commitsIn(output)).toEqual([735]);
  });
});
