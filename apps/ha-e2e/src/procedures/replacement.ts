import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Spec: "How to Replace the Primary Server". */
export const REPLACEMENT: readonly Telling[] = [
  {
    title:
      'a new machine takes the place of a lost primary while the secondary serves, and gets the role by a failback',
    procedures: ['RP-1', 'FB-1'],
    failoverType: 'automatic',
    bothActive: true, // the new machine serves what it has of its own until it is told whose place it takes
    async tell(pair) {
      const { secondary } = pair;
      await pair.primary.powerOff();
      await secondary.reaches('Secondary Active');
      const row = await secondary.write();
      await pair.bringNewPrimary();
      const { primary } = pair;
      await pair.mark();
      await primary.order({ kind: 'replace-primary' });
      await pair.inSyncSwapped();
      await pair.conformsTo('RP-1');
      assert.equal(await primary.holds(row), true);

      await pair.mark();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await pair.conformsTo('FB-1');
      assert.equal(await primary.runsApplication(), true);
    },
  },
];
