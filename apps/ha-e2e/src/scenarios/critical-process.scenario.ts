import { expect } from '@jest/globals';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('a critical process that cannot be restarted', {}, (scenario) => {
  // Spec: "Process Restart Fails (Automatic Failover)".
  scenario(
    'under automatic failover the primary gives up, the secondary takes over without the loss of a row, and the failed primary follows',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      pair.application.breakOn(primary.host);
      await primary.reaches('Primary Uncertain', { withinMs: 15_000 });
      await secondary.reaches('Secondary Active', { withinMs: 20_000 });
      await pair.conformsTo('PRA-1');
      expect(pair.application.runsOn(secondary.host)).toBe(true);
      await writer.isWriting({ withinMs: 5000 });
      const { lost } = await pair.finish(writer, secondary);
      expect(lost).toEqual([]);

      // Decision: the failed primary does not wait for a restart by hand, see docs/decisions/0006-failed-primary-follows.md.
      await primary.reaches('Primary Syncing', { withinMs: 30_000 });
      await pair.inSyncSwapped({ withinMs: 10_000 });
      await pair.conformsTo('PRA-2');

      await pair.mark();
      pair.application.reset(pair.stage);
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 30_000 });
      await pair.conformsTo('PRA-3');
    },
  );

  // Spec: "Process Restart Fails (Manual Failover)".
  scenario(
    'under manual failover the operator decides, and the failed primary follows',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      pair.application.breakOn(primary.host);
      await primary.reaches('Primary Uncertain', { withinMs: 15_000 });
      await secondary.reaches('Secondary Lost Primary', { withinMs: 5000 });
      await pair.conformsTo('PRM-1');
      expect(pair.application.runsOn(secondary.host)).toBe(false);

      await secondary.shows('that failover is possible', { withinMs: 20_000 }, ({ availableActions }) =>
        availableActions.includes('failover'),
      );
      await secondary.perform('/ha/failover', { acceptDataLoss: false }, { withinMs: 30_000 });
      await secondary.reaches('Secondary Active', { withinMs: 5000 });
      await pair.conformsTo('PRM-2');
      expect(pair.application.runsOn(secondary.host)).toBe(true);

      await primary.reaches('Primary Syncing', { withinMs: 30_000 });
      await pair.inSyncSwapped({ withinMs: 10_000 });
      await pair.conformsTo('PRM-3');

      await pair.mark();
      pair.application.reset(pair.stage);
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 30_000 });
      await pair.conformsTo('PRM-4');
    },
  );
});
