import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Spec: "Secondary Server Restarts While Syncing"; "Primary Server Restarts While the Secondary Server is Syncing"; "Secondary Server Goes Down". */
export const RESTARTS: readonly Telling[] = [
  {
    title: 'a secondary that restarts is followed by the primary, and is in sync again by itself',
    procedures: ['SRS-1', 'SGD-1'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      const client = await pair.startClient();
      await secondary.stop();
      await primary.reaches('Primary Lost Secondary');
      await secondary.start();
      await secondary.reaches('Secondary Lost Primary');
      await pair.inSync();
      await pair.conformsTo('SRS-1');

      await pair.mark();
      await secondary.powerOff();
      await primary.reaches('Primary Lost Secondary');
      await secondary.powerOn();
      await secondary.reaches('Secondary Lost Primary');
      await pair.inSync();
      await pair.conformsTo('SGD-1');
      assert.equal(await secondary.runsApplication(), false);
      assert.equal(await client.lostOn(primary), 0);
    },
  },
  {
    title:
      'a primary that restarts asks the secondary first, and serves again with its consent; lost once more before it is in sync, it does so again',
    procedures: ['PRS-1', 'SAL-1'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      await primary.powerOff();
      await secondary.reaches('Secondary Lost Primary');
      await primary.powerOn();
      await primary.reaches('Primary Alone');
      await pair.inSync();
      await pair.conformsTo('PRS-1');
      assert.equal(await primary.runsApplication(), true);

      await pair.mark();
      await secondary.cutStream();
      await primary.powerOff();
      await secondary.reaches('Secondary Lost Primary');
      await primary.powerOn();
      await primary.reaches('Primary Alone');
      await primary.serves();
      await primary.powerOff();
      await secondary.reaches('Secondary Alone');
      await secondary.healStream();
      await primary.powerOn();
      await pair.inSync();
      await pair.conformsTo('SAL-1');
    },
  },
  {
    title: 'after both servers were down and the secondary returns first, the pair is in sync again by itself',
    procedures: ['BD-1', 'BPD-1'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      const row = await primary.write();
      for (const server of [primary, secondary]) await server.powerOff();
      await pair.mark();
      await secondary.powerOn();
      await secondary.reaches('Secondary Lost Primary');
      await primary.powerOn();
      await pair.inSync();
      await pair.conformsTo('BD-1');
      await pair.conformsTo('BPD-1');
      assert.equal(await primary.runsApplication(), true);
      assert.equal(await secondary.runsApplication(), false);
      assert.equal(await primary.holds(row), true);
    },
  },
  {
    title:
      'an active secondary that dies and returns is active again, and the synced primary stays what it is meanwhile; when it does not return, the operator has the primary take over',
    procedures: ['SAD-1', 'TKO-1'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      await secondary.order({ kind: 'forced-failover' });
      await pair.inSyncSwapped();
      await pair.mark();
      await secondary.powerOff();
      await primary.reaches('Primary Alone');
      await secondary.powerOn();
      await secondary.reaches('Secondary Active');
      await pair.inSyncSwapped();
      await pair.conformsTo('SAD-1');
      assert.equal(await primary.runsApplication(), false);

      await pair.mark();
      await secondary.powerOff();
      await primary.reaches('Primary Alone');
      assert.match(await primary.refusal({ kind: 'failback' }), /secondary/);
      await primary.offers('activate-alone');
      await primary.order({ kind: 'activate-alone', acceptDataLoss: true });
      await primary.reaches('Primary Lost Secondary');
      const row = await primary.write();
      assert.equal(await primary.runsApplication(), true);
      await secondary.powerOn();
      await secondary.reaches('Secondary Lost Primary');
      await pair.inSync();
      await pair.conformsTo('TKO-1');
      assert.equal(await primary.holds(row), true);
    },
  },
  {
    title:
      'when both were down and the secondary does not return, removal on the operator’s word lets the primary serve alone',
    procedures: ['BDX-1'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      for (const server of [primary, secondary]) await server.powerOff();
      await primary.powerOn();
      await primary.reaches('Primary Alone');
      await primary.offers('remove');
      assert.match(await primary.refusal({ kind: 'remove' }), /confirm with its name/);
      await primary.order({ kind: 'remove', confirmed: true });
      await primary.serves();
      await pair.conformsTo('BDX-1');
      assert.equal(await primary.runsApplication(), true);

      await secondary.powerOn();
      await secondary.reaches('HA Not Configured');
      assert.equal(await secondary.runsApplication(), false);
      await primary.order({ kind: 'register' });
      await pair.inSync();
    },
  },
];
