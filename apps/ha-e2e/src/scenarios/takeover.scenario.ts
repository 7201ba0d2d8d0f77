import { expect } from '@jest/globals';
import { monotonicMs } from '../real-pair/deadline.ts';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('a primary that dies', {}, (scenario) => {
  // Spec: "Trigger Failover"; "How High Availability Works"; "Trigger Failback".
  scenario(
    'when its host dies and failover is automatic, the secondary takes over; the dead host returns as a standby by itself, and failback gives it its role again',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();

      primary.die();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 8000 });
      await secondary.reaches('Secondary Active', { withinMs: 15_000 });
      await writer.isWriting({ withinMs: 5000 });
      await pair.conformsTo('FO-AUTO');
      expect(pair.application.runsOn(secondary.host)).toBe(true);

      primary.host.powerOn();
      primary.boot();
      await primary.reaches('Primary Preparing for Failback', { withinMs: 30_000 });
      await primary.reaches('Primary Syncing', { withinMs: 30_000 });
      await pair.inSyncSwapped({ withinMs: 10_000 });
      await pair.conformsTo('RET-1');
      expect(pair.application.runsOn(primary.host)).toBe(false);

      await pair.mark();
      const failbackMs = monotonicMs();
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 30_000 });
      await writer.isWriting({ withinMs: 5000 });
      await pair.conformsTo('FB-1');
      expect(pair.application.runsOn(primary.host)).toBe(true);
      expect(pair.application.runsOn(secondary.host)).toBe(false);

      const { lost } = await pair.finish(writer, primary);
      expect(lost.filter((row) => row.atMs > failbackMs)).toEqual([]);
    },
  );

  // Spec: "Trigger Failover".
  scenario(
    'when its host dies and failover is manual, the secondary waits for the operator, and takes over on their word',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 8000 });
      const status = await secondary.shows('that failover is possible', { withinMs: 20_000 }, ({ availableActions }) =>
        availableActions.includes('failover'),
      );
      expect(status.state).toBe('Secondary Lost Primary');
      expect(pair.application.starts()).toEqual([]);

      await secondary.perform('/ha/failover', { acceptDataLoss: true }, { withinMs: 20_000 });
      await secondary.reaches('Secondary Active', { withinMs: 5000 });
      await pair.conformsTo('FO-MAN');
      expect(pair.application.runsOn(secondary.host)).toBe(true);

      primary.host.powerOn();
      primary.boot();
      await pair.inSyncSwapped({ withinMs: 40_000 });
    },
  );
});
