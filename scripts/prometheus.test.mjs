/** The configuration and the alert rules for Prometheus: valid, doing what their unit tests say, and about metrics and pages that exist. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from './bootstrap.mjs';

const FOLDER = join(ROOT, 'infra/prometheus');
const rules = parse(readFileSync(join(FOLDER, 'understudy.rules.yml'), 'utf8')).groups.flatMap((group) => group.rules);
const tests = parse(readFileSync(join(FOLDER, 'understudy.rules.test.yml'), 'utf8')).tests;
let metrics;

before(async () => {
  const built = join(ROOT, 'libs/telemetry/dist/metrics.js');
  assert.ok(existsSync(built), `${built} is missing: run "npm run build" first`);
  const { METRICS, prometheusName } = await import(built);
  metrics = new Set(
    Object.entries(METRICS).flatMap(([name, { kind }]) => {
      const shown = prometheusName(name);
      return kind === 'histogram' ? [`${shown}_bucket`, `${shown}_sum`, `${shown}_count`] : [shown];
    }),
  );
});

/** Runs promtool in the folder; what it says when it refuses. */
function promtool(...words) {
  const done = spawnSync('promtool', words, { cwd: FOLDER, encoding: 'utf8', timeout: 60_000 });
  assert.equal(done.status, 0, `promtool ${words.join(' ')}\n${done.error ?? ''}${done.stdout}${done.stderr}`);
}

test('promtool takes the rules and the configuration', () => {
  promtool('check', 'rules', 'understudy.rules.yml');
  promtool('check', 'config', 'prometheus.yml');
});

test('the alerts do what their unit tests say', () => promtool('test', 'rules', 'understudy.rules.test.yml'));

test('every alert is seen to fire in a unit test', () => {
  const fired = new Set(
    tests.flatMap(({ alert_rule_test: cases }) =>
      cases.filter(({ exp_alerts: alerts = [] }) => alerts.length > 0).map(({ alertname }) => alertname),
    ),
  );
  assert.deepEqual(
    rules.map(({ alert }) => alert).filter((alert) => !fired.has(alert)),
    [],
  );
});

test('every alert is about metrics that exist, and leads to a page of the operator’s guide', () => {
  for (const { alert, expr, annotations } of rules) {
    const unknown = (expr.match(/\bunderstudy_\w+/g) ?? []).filter((name) => !metrics.has(name));
    assert.deepEqual(unknown, [], alert);
    assert.ok(existsSync(join(ROOT, annotations.runbook)), `${alert}: ${annotations.runbook}`);
  }
});
