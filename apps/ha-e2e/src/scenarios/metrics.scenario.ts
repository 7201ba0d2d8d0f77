import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { METRICS, type MetricName, prometheusName } from '@understudy/telemetry';
import { until } from '../real-pair/deadline.ts';
import { REPOSITORY } from '../real-pair/node-scripts.ts';
import { Prometheus } from '../real-pair/prometheus.ts';
import { scenariosOnRealPair } from './scenario.ts';

/** Not on this pair: it has no witness and no file sets. */
const ABSENT: readonly MetricName[] = [
  'understudy.witness.reachable',
  'understudy.file_sync.pending',
  'understudy.file_sync.errors',
];

/** Every query of every panel that asks Prometheus, for all pairs. */
function queriesOfDashboards(): { title: string; expression: string }[] {
  const folder = join(REPOSITORY, 'infra/grafana/dashboards');
  const queries = readdirSync(folder).flatMap((name) => {
    const { panels } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      panels: { title: string; targets: { expr?: string }[] }[];
    };
    return panels.flatMap(({ title, targets }) => targets.flatMap(({ expr }) => (expr ? [{ title, expr }] : [])));
  });
  expect(queries.length).toBeGreaterThan(20);
  return queries.map(({ title, expr }) => ({ title, expression: expr.replaceAll('$pair', '.*') }));
}

scenariosOnRealPair('metrics', { layout: 'composed' }, (scenario) => {
  scenario(
    'Prometheus scrapes every metric of the pair, every panel of the dashboards has data, and an alert tells that the roles are swapped',
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
      for (const { title, expression } of queriesOfDashboards())
        await until(`the panel "${title}" has data by ${expression}`, { withinMs: 20_000 }, async () => {
          const found = await prometheus.query(expression);
          return found.length > 0 && found.every(({ value }) => !Number.isNaN(value));
        });
      await until('the alert waits for its time', { withinMs: 20_000 }, async () => {
        const alerts = await prometheus.query('ALERTS{alertname="UnderstudySwapped"}');
        return alerts.some(({ labels }) => labels.instance === active && labels.pair === 'alpha-beta');
      });
    },
  );
});
