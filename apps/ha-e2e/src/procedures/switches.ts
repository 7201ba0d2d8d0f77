import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Spec: "Force Failover"; "How High Availability Works". */
export const SWITCHES: readonly Telling[] = [
  {
    title: 'a writing client loses no acknowledged row in a forced failover and the failback after it',
    procedures: ['FF-1', 'FB-1'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      const client = await pair.startClient();
      await secondary.order({ kind: 'forced-failover' });
      await secondary.reaches('Secondary Active');
      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await client.isServed();
      await pair.conformsTo('FF-1');
      assert.equal(await secondary.runsApplication(), true);

      await pair.mark();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await client.isServed();
      await pair.conformsTo('FB-1');
      assert.equal(await primary.runsApplication(), true);
      assert.equal(await client.lostOn(primary), 0);
    },
  },
  {
    title: 'a primary that is stopped on purpose under automatic failover hands over first, without the loss of a row',
    procedures: ['STOP-AUTO'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      const client = await pair.startClient();
      await primary.stop();
      await secondary.reaches('Secondary Active');
      await pair.conformsTo('STOP-AUTO');
      await client.isServed();
      assert.equal(await secondary.runsApplication(), true);
      assert.equal(await client.lostOn(secondary), 0);

      await primary.start();
      await pair.inSyncSwapped();
    },
  },
];
