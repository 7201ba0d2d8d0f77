import { existsSync } from 'node:fs';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import { CREATE_WRITER_TABLE } from '../writer/writer.ts';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('the network between the servers', {}, (scenario) => {
  // Spec: "Network is Down (Automatic Failover)"; "How to Recover From Split-Brain Scenario".
  scenario(
    'when the link is cut and failover is automatic, the secondary takes over; the primary yields when the link is back, what only it wrote is set aside, and failback returns the role',
    { failoverType: 'automatic', bothActive: true },
    async ({ pair, primary, secondary }) => {
      await primary.query(CREATE_WRITER_TABLE);
      await until('the secondary has the table', { withinMs: 10_000 }, async () => {
        const [row] = await secondary.query(`select to_regclass('understudy_e2e') is not null`);
        return String(row?.[0]).startsWith('t');
      });

      primary.host.cutLink();
      await primary.reaches('Primary Lost Secondary', { withinMs: 10_000 });
      await secondary.reaches('Secondary Active', { withinMs: 20_000 });
      await pair.conformsTo('NDA-1');
      await primary.query(`insert into understudy_e2e(run, sequence) select 'diverged', generate_series(1, 1000)`);
      await secondary.query(`insert into understudy_e2e(run, sequence) values ('kept', 1)`);

      await pair.mark();
      primary.host.healLink();
      await primary.reaches('Primary Failover', { withinMs: 15_000 });
      await primary.reaches('Primary Syncing', { withinMs: 40_000 });
      await pair.inSyncSwapped({ withinMs: 10_000 });
      await pair.conformsTo('NDA-2');
      await pair.conformsTo('SB-1');
      expect(await secondary.query(`select run from understudy_e2e where run in ('diverged', 'kept')`)).toEqual([
        ['kept'],
      ]);
      expect(pair.application.runsOn(primary.host)).toBe(false);

      await primary.refreshHistory();
      const paths = primary.history
        .eventsSinceMark()
        .flatMap((event) => event.message.match(/\/\S*set-aside\/[^\s"',;)]+/g) ?? [])
        .map((path) => path.replace(/[.:]$/, ''));
      expect(paths.filter((path) => existsSync(path))).not.toEqual([]);

      await pair.mark();
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 30_000 });
      await pair.conformsTo('NDA-3');
    },
  );

  // Spec: "Network is Down (Manual Failover)", connection restored without a failover.
  scenario(
    'when the link is cut and failover is manual, both wait, and go on as before when it is healed',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      primary.host.cutLink();
      await primary.reaches('Primary Lost Secondary', { withinMs: 10_000 });
      await secondary.reaches('Secondary Lost Primary', { withinMs: 10_000 });
      await pair.conformsTo('NDM-1');
      expect(pair.application.runsOn(primary.host)).toBe(true);

      primary.host.healLink();
      await primary.reaches('Primary Active', { withinMs: 20_000 });
      await secondary.reaches('Secondary Syncing', { withinMs: 20_000 });
      await pair.inSync({ withinMs: 10_000 });
      await pair.conformsTo('NDM-2');
      expect(pair.application.starts()).toEqual([]);
    },
  );

  // Spec: "Network is Down (Manual Failover)", operator failover.
  scenario(
    'when the link is cut and the operator fails over, the primary yields when it is healed, and failback returns the role',
    { failoverType: 'manual', bothActive: true },
    async ({ pair, primary, secondary }) => {
      primary.host.cutLink();
      await primary.reaches('Primary Lost Secondary', { withinMs: 10_000 });
      await secondary.reaches('Secondary Lost Primary', { withinMs: 10_000 });
      await secondary.shows('that failover is possible', { withinMs: 20_000 }, ({ availableActions }) =>
        availableActions.includes('failover'),
      );
      await secondary.perform('/ha/failover', { acceptDataLoss: true }, { withinMs: 30_000 });
      await secondary.reaches('Secondary Active', { withinMs: 5000 });
      await pair.conformsTo('NDM-3');

      await pair.mark();
      primary.host.healLink();
      await primary.reaches('Primary Failover', { withinMs: 15_000 });
      await primary.reaches('Primary Syncing', { withinMs: 40_000 });
      await pair.inSyncSwapped({ withinMs: 10_000 });
      await pair.conformsTo('NDM-4');

      await pair.mark();
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 30_000 });
      await pair.conformsTo('NDM-5');
    },
  );

  // The same without the loss of the carrier: nothing but the missing answers tells.
  scenario(
    'when frames vanish without a sign and failover is automatic, the secondary takes over, and the primary yields afterwards',
    { failoverType: 'automatic', bothActive: true },
    async ({ pair, primary, secondary }) => {
      primary.host.cutLinkSilently();
      await secondary.reaches('Secondary Active', { withinMs: 25_000 });
      await primary.reaches('Primary Lost Secondary', { withinMs: 10_000 });
      primary.host.healLink();
      await pair.inSyncSwapped({ withinMs: 60_000 });
    },
  );
});
