import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Spec: "Trigger Failover"; "How High Availability Works"; "Trigger Failback". */
export const TAKEOVER: readonly Telling[] = [
  {
    title:
      'when the primary’s host dies and failover is automatic, the secondary takes over; the dead host returns as a standby by itself, and failback gives it its role again',
    procedures: ['FO-AUTO', 'RET-1', 'FB-1'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      await primary.powerOff();
      await secondary.reaches('Secondary Lost Primary');
      await secondary.reaches('Secondary Active', 20);
      await pair.conformsTo('FO-AUTO');
      assert.equal(await secondary.runsApplication(), true);

      await pair.mark();
      await primary.powerOn();
      await primary.reaches('Primary Preparing for Failback');
      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await pair.conformsTo('RET-1');
      assert.equal(await primary.runsApplication(), false);

      await pair.mark();
      const client = await pair.startClient();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await pair.conformsTo('FB-1');
      assert.equal(await primary.runsApplication(), true);
      assert.equal(await secondary.runsApplication(), false);
      await client.isServed();
      assert.equal(await client.lostOn(primary), 0);
    },
  },
  {
    title:
      'when the primary’s host dies and failover is manual, the secondary waits for the operator, and takes over on their word',
    procedures: ['FO-MAN'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      await primary.powerOff();
      await secondary.reaches('Secondary Lost Primary');
      await secondary.offers('failover');
      assert.equal(await secondary.runsApplication(), false);
      await secondary.order({ kind: 'failover', acceptDataLoss: true });
      await secondary.reaches('Secondary Active');
      await pair.conformsTo('FO-MAN');
      assert.equal(await secondary.runsApplication(), true);

      await primary.powerOn();
      await pair.inSyncSwapped();
    },
  },
];
