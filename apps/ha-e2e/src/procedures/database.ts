import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Spec: "HA States and Transitions: Secondary Uncertain, Primary Database Copy Failed"; "How High Availability Works". */
export const DATABASE: readonly Telling[] = [
  {
    title: 'a secondary that loses its database is uncertain, and follows again when it is back; active or not',
    procedures: ['SUN-1', 'SUN-2'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      await secondary.failDatabase();
      await secondary.reaches('Secondary Uncertain');
      await primary.reaches('Primary Lost Secondary');
      assert.equal(await primary.runsApplication(), true);
      await secondary.mendDatabase();
      await secondary.reaches('Secondary Lost Primary');
      await pair.inSync();
      await pair.conformsTo('SUN-1');

      await secondary.order({ kind: 'forced-failover' });
      await pair.inSyncSwapped();
      const row = await secondary.write();
      await pair.mark();
      await secondary.failDatabase();
      await secondary.reaches('Secondary Uncertain');
      await secondary.mendDatabase();
      await secondary.reaches('Secondary Active');
      await pair.inSyncSwapped();
      await pair.conformsTo('SUN-2');
      assert.equal(await secondary.holds(row), true);
    },
  },
  {
    title:
      'a primary that was away for longer than the retention takes a full copy; while copies fail no failback is possible, and when one succeeds it is',
    procedures: ['GAP-1', 'GAP-2'],
    failoverType: 'automatic',
    lowLimits: true,
    async tell(pair) {
      const { primary, secondary } = pair;
      await primary.powerOff();
      await secondary.reaches('Secondary Active');
      await pair.retentionPasses();
      await pair.mark();
      await primary.powerOn();
      await primary.reaches('Primary Preparing for Failback');
      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await pair.conformsTo('GAP-1');

      await primary.powerOff();
      await pair.retentionPasses();
      await primary.failCopies();
      await primary.powerOn();
      await primary.reaches('Primary Preparing for Failback');
      await pair.mark();
      await primary.reaches('Primary Database Copy Failed');
      // the copy may have failed before the secondary has heard the primary
      assert.match(await secondary.refusal({ kind: 'failback' }), /not Primary Syncing|not reachable/);
      await primary.endCopyFailures();
      await primary.reaches('Primary Syncing', 400);
      await pair.inSyncSwapped();
      await pair.conformsTo('GAP-2');

      await secondary.order({ kind: 'failback' });
      await pair.inSync();
    },
  },
];
