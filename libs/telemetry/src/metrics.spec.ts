import { describe, expect, it } from '@jest/globals';
import { Meter } from './meter.ts';
import { prometheusText } from './prometheus-text.ts';

describe('metrics', () => {
  it('are shown to Prometheus with their units, and sizes by how many are up to each bound', () => {
    const meter = new Meter();
    meter.count('understudy.heartbeat.missed', {}, 2);
    meter.count('understudy.heartbeat.missed');
    meter.count('understudy.operations', { kind: 'failback', result: 'succeeded' });
    for (const seconds of [0.0007, 0.3, 7]) meter.record('understudy.heartbeat.round_trip', seconds);
    const lines = prometheusText(meter.samples()).trimEnd().split('\n');
    expect(lines.filter((line) => !line.includes('_bucket'))).toEqual([
      '# HELP understudy_heartbeat_round_trip_seconds From a beat to its answer.',
      '# TYPE understudy_heartbeat_round_trip_seconds histogram',
      'understudy_heartbeat_round_trip_seconds_sum 7.3007',
      'understudy_heartbeat_round_trip_seconds_count 3',
      '# HELP understudy_heartbeat_missed_total Beats that were not answered in time.',
      '# TYPE understudy_heartbeat_missed_total counter',
      'understudy_heartbeat_missed_total 3',
      '# HELP understudy_operations_total Ended operations: succeeded or failed.',
      '# TYPE understudy_operations_total counter',
      'understudy_operations_total{kind="failback",result="succeeded"} 1',
    ]);
    expect(lines.filter((line) => /le="(0.001|0.25|0.5|\+Inf)"/.test(line)).map((line) => line.split(' ')[1])).toEqual([
      '1',
      '1',
      '2',
      '3',
    ]);
  });

  it('are escaped where an operator has chosen the words', () => {
    const text = prometheusText([
      { metric: 'understudy.process.running', attributes: { name: 'a "b"\\\nc' }, value: 1 },
    ]);
    expect(text).toContain('understudy_process_running{name="a \\"b\\"\\\\\\nc"} 1\n');
  });
});
