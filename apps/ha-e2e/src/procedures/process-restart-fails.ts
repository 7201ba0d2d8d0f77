import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/**
 * Spec: "Process Restart Fails". The failed primary does not wait for a restart by hand: it becomes a standby by itself
 * (docs/decisions/0006-failed-primary-follows.md).
 */
export const PROCESS_RESTART_FAILS: readonly Telling[] = [
  {
    title:
      'when a critical process cannot be restarted and failover is automatic, the secondary takes over without the loss of a row, and the failed primary follows',
    procedures: ['PRA-1', 'PRA-2', 'PRA-3'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      const client = await pair.startClient();
      await primary.failProcess();
      await primary.reaches('Primary Uncertain');
      await secondary.reaches('Secondary Active', 20);
      await pair.conformsTo('PRA-1');
      assert.equal(await secondary.runsApplication(), true);
      await client.isServed();
      assert.equal(await client.lostOn(secondary), 0);

      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await pair.conformsTo('PRA-2');
      assert.equal(await primary.runsApplication(), false);

      await pair.mark();
      await primary.mendProcess();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await pair.conformsTo('PRA-3');
    },
  },
  {
    title:
      'when a critical process cannot be restarted and failover is manual, the operator decides, and the failed primary follows',
    procedures: ['PRM-1', 'PRM-2', 'PRM-3', 'PRM-4'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      await primary.failProcess();
      await primary.reaches('Primary Uncertain');
      await secondary.reaches('Secondary Lost Primary');
      await pair.conformsTo('PRM-1');
      assert.equal(await secondary.runsApplication(), false);

      await secondary.offers('failover');
      await secondary.order({ kind: 'failover', acceptDataLoss: false });
      await secondary.reaches('Secondary Active');
      await pair.conformsTo('PRM-2');
      assert.equal(await secondary.runsApplication(), true);

      await primary.reaches('Primary Syncing');
      await pair.inSyncSwapped();
      await pair.conformsTo('PRM-3');

      await pair.mark();
      await primary.mendProcess();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
      await pair.conformsTo('PRM-4');
    },
  },
  {
    title:
      'when a critical process cannot be started after a failback, the failed primary hands over on the operator’s order, and nothing is lost',
    procedures: [],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      await secondary.order({ kind: 'forced-failover' });
      await pair.inSyncSwapped();
      const client = await pair.startClient();
      await primary.failProcess();
      await secondary.begin({ kind: 'failback' });
      await primary.reaches('Primary Uncertain');
      await secondary.reaches('Secondary Lost Primary');

      await secondary.offers('failover');
      await secondary.order({ kind: 'failover', acceptDataLoss: false });
      await secondary.reaches('Secondary Active');
      await client.isServed();
      assert.equal(await client.lostOn(secondary), 0);

      await primary.mendProcess();
      await pair.inSyncSwapped();
      await secondary.order({ kind: 'failback' });
      await pair.inSync();
    },
  },
];
