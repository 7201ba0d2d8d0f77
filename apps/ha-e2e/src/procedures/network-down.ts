import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Spec: "Network is Down"; "How to Recover From Split-Brain Scenario". */
export const NETWORK_DOWN: readonly Telling[] = [
  {
    title:
      'when the link is cut and failover is automatic, the secondary takes over; the primary yields when the link is back, what only it wrote is set aside, and failback returns the role',
    procedures: ['NDA-1', 'NDA-2', 'SB-1', 'NDA-3'],
    failoverType: 'automatic',
    bothActive: true,
    async tell(pair) {
      const { primary, secondary } = pair;
      await pair.cutLink();
      await primary.reaches('Primary Lost Secondary');
      await secondary.reaches('Secondary Active', 20);
      await pair.conformsTo('NDA-1');
      assert.equal(await secondary.runsApplication(), true);
      const [diverged, kept] = [await primary.write(), await secondary.write()];

      await pair.mark();
      await pair.healLink();
      await primary.reaches('Primary Failover');
      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await pair.conformsTo('NDA-2');
      await pair.conformsTo('SB-1');
      assert.equal(await primary.runsApplication(), false);
      assert.equal(await secondary.holds(kept), true);
      assert.equal(await secondary.holds(diverged), false);
      assert.equal(await primary.hasSetAside(), true);

      await pair.mark();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await pair.conformsTo('NDA-3');
      assert.equal(await primary.holds(kept), true);
    },
  },
  {
    title: 'when the link is cut and failover is manual, both wait, and go on as before when it is healed',
    procedures: ['NDM-1', 'NDM-2'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      const client = await pair.startClient();
      await pair.cutLink();
      await primary.reaches('Primary Lost Secondary');
      await secondary.reaches('Secondary Lost Primary');
      await pair.conformsTo('NDM-1');
      assert.equal(await primary.runsApplication(), true);

      await pair.mark();
      await pair.healLink();
      await primary.reaches('Primary Active');
      await secondary.reaches('Secondary Syncing');
      await pair.inSync();
      await pair.conformsTo('NDM-2');
      assert.equal(await client.lostOn(primary), 0);
    },
  },
  {
    title:
      'when the link is cut and the operator fails over, the primary yields when it is healed, and failback returns the role',
    procedures: ['NDM-3', 'NDM-4', 'NDM-5'],
    failoverType: 'manual',
    bothActive: true,
    async tell(pair) {
      const { primary, secondary } = pair;
      await pair.cutLink();
      await primary.reaches('Primary Lost Secondary');
      await secondary.reaches('Secondary Lost Primary');
      await pair.mark();
      await secondary.offers('failover');
      await secondary.order({ kind: 'failover', acceptDataLoss: true });
      await secondary.reaches('Secondary Active');
      await pair.conformsTo('NDM-3');
      assert.equal(await secondary.runsApplication(), true);

      await pair.mark();
      await pair.healLink();
      await primary.reaches('Primary Failover');
      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await pair.conformsTo('NDM-4');

      await pair.mark();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await pair.conformsTo('NDM-5');
    },
  },
];
