import { expect } from '@jest/globals';
import { METRICS, type MetricName, prometheusName } from '@understudy/telemetry';
import { until } from '../real-pair/deadline.ts';
import { Prometheus } from '../real-pair/prometheus.ts';
import { scenariosOnRealPair } from './scenario.ts';

/** Not on this pair: it has no witness and no file sets. */
const ABSENT: readonly MetricName[] = [
  'understudy.witness.reachable',
  'understudy.file_sync.pending',
  'understudy.file_sync.errors',
];

scenariosOnRealPair('metrics', { layout: 'composed' }, (scenario) => {
  scenario(
    'Prometheus scrapes every metric of the pair, and its alerts tell that the roles are swapped',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const prometheus = new Prometheus(pair.stage.n3, pair.servers);
      await prometheus.start();
      await pair.inSync({ withinMs: 60_000 });
      await secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 });
      await pair.inSyncSwapped({ withinMs: 60_000 });

      for (const name of (Object.keys(METRICS) as MetricName[]).filter((name) => !ABSENT.includes(name))) {
        const shown = prometheusName(name) + (METRICS[name].kind === 'histogram' ? '_count' : '');
        await until(
          `Prometheus has ${shown}`,
          { withinMs: 20_000 },
          async () => (await prometheus.query(shown)).length > 0,
        );
      }
      const [active, standby] = [secondary, primary].map(({ host }) => `${host.address}:8082`);
      const state = async (expression: string) =>
        (await prometheus.query(expression)).map(
          ({ labels }) => `${labels.instance} ${labels.state ?? labels.role ?? ''}`,
        );
      await until('the swapped roles are scraped', { withinMs: 20_000 }, async () => {
        const roles = (await state('understudy_role == 1')).toSorted();
        return roles.join() === [`${active} active`, `${standby} standby`].toSorted().join();
      });
      expect((await state('understudy_state == 1')).toSorted()).toEqual(
        [`${active} secondary-active`, `${standby} primary-syncing`].toSorted(),
      );
      const operations = await prometheus.query('understudy_operations_total{kind="forced-failover"}');
      expect(operations.find(({ labels }) => labels.instance === active)).toMatchObject({
        labels: { result: 'succeeded' },
        value: 1,
      });
      const effects = await prometheus.query('understudy_effect_duration_seconds_count{effect="promote-database"}');
      expect(effects).toMatchObject([{ labels: { outcome: 'completed', instance: active }, value: 1 }]);
      await until('the alert waits for its time', { withinMs: 20_000 }, async () => {
        const alerts = await prometheus.query('ALERTS{alertname="UnderstudySwapped"}');
        return alerts.some(({ labels }) => labels.instance === active && labels.pair === 'alpha-beta');
      });
    },
  );
});
