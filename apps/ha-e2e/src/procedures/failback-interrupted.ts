import assert from 'node:assert/strict';
import type { Telling } from './driver.ts';

/** Failback interrupted at each of its stages. Spec: "Trigger Failback". */
export const FAILBACK_INTERRUPTED: readonly Telling[] = [
  {
    title:
      'a failback that the loss of the link interrupts is undone as long as the secondary has not given its consent, and completed from then on',
    procedures: ['FBX-1', 'FBX-2', 'FBX-3'],
    failoverType: 'manual',
    lowLimits: true,
    async tell(pair) {
      const { primary, secondary } = pair;
      await secondary.order({ kind: 'forced-failover' });
      await pair.inSyncSwapped();

      // the secondary serves on until the primary has nearly everything
      await pair.mark();
      await primary.stallStream();
      await secondary.writeMuch();
      await secondary.begin({ kind: 'failback' });
      await primary.reaches('Primary Failback');
      await pair.cutLink();
      await secondary.reaches('Secondary Active');
      await primary.reaches('Primary Alone');
      await primary.freeStream();
      await pair.healLink();
      await pair.inSyncSwapped();
      await pair.conformsTo('FBX-1');

      // the secondary is closed, and the primary waits for the end of its data before it asks for consent
      await pair.mark();
      await primary.stallStream();
      const row = await secondary.write();
      await secondary.begin({ kind: 'failback' });
      await secondary.reaches('Secondary Post Failback');
      await pair.cutLink();
      await secondary.reaches('Secondary Active');
      await primary.reaches('Primary Alone');
      assert.equal(await secondary.runsApplication(), true);
      await primary.freeStream();
      await pair.healLink();
      await pair.inSyncSwapped();
      await pair.conformsTo('FBX-2');

      // the primary has the consent, and is being opened
      await pair.mark();
      await primary.holdPromotion();
      await secondary.begin({ kind: 'failback' });
      await primary.decidesBy('P-72');
      await pair.cutLink();
      await primary.missesPeer();
      await primary.freePromotion();
      await primary.reaches('Primary Lost Secondary');
      assert.equal(await primary.runsApplication(), true);
      await secondary.reaches('Secondary Lost Primary', 400);
      assert.equal(await secondary.runsApplication(), false);
      await pair.healLink();
      await pair.inSync();
      await pair.conformsTo('FBX-3');
      assert.equal(await primary.holds(row), true);
    },
  },
];
