import type { Dashboard, Panel } from '@grafana/schema';

/** Queries of a panel: an expression of Prometheus, and what each of its series is called. */
type Queries = Readonly<Record<string, string>>;

const PROMETHEUS = { type: 'prometheus', uid: 'prometheus' } as const;
const TEMPO = { type: 'tempo', uid: 'tempo' } as const;
/** The pair that is looked at; every series of a metric has the label that Prometheus gives to the targets. */
const PAIR = 'pair=~"$pair"';
const HALF = 12;

function panel(title: string, type: string, queries: Queries, unit: string, w = HALF, h = 8): Panel {
  const targets = Object.entries(queries).map(([expr, legendFormat], index) => ({
    refId: String.fromCharCode(65 + index),
    datasource: PROMETHEUS,
    expr,
    legendFormat,
  }));
  return {
    title,
    type,
    datasource: PROMETHEUS,
    targets,
    gridPos: { x: 0, y: 0, w, h },
    fieldConfig: { defaults: { unit }, overrides: [] },
  };
}

const lines = (title: string, queries: Queries, unit: string) => panel(title, 'timeseries', queries, unit);
const number = (title: string, queries: Queries, unit = 'none') => panel(title, 'stat', queries, unit, 6, 5);
const phases = (title: string, queries: Queries) => panel(title, 'state-timeline', queries, 'none', 24, 6);

/** The switches of the last hours, from the traces: each decision by a rule is one row. */
const DECISIONS: Panel = {
  title: 'Decisions: open one to see its whole trace',
  type: 'table',
  datasource: TEMPO,
  targets: [
    {
      refId: 'A',
      datasource: TEMPO,
      queryType: 'traceql',
      query:
        '{ name =~ "decide .*" } | select(span.understudy.rule.id, span.understudy.rule.says, span.understudy.epoch)',
      tableType: 'spans',
      limit: 100,
    },
  ],
  gridPos: { x: 0, y: 0, w: 24, h: 12 },
};

/** Panels from left to right and down, in their order. */
function placed(panels: readonly Panel[]): Panel[] {
  let [x, y, high] = [0, 0, 0];
  return panels.map((panel, index) => {
    const { w, h } = panel.gridPos ?? { w: HALF, h: 8 };
    if (x + w > 24) [x, y, high] = [0, y + high, 0];
    const at = { ...panel, id: index + 1, gridPos: { x, y, w, h } };
    x += w;
    high = Math.max(high, h);
    return at;
  });
}

function dashboard(uid: string, title: string, panels: readonly Panel[]): Dashboard {
  return {
    uid: `understudy-${uid}`,
    title: `Understudy: ${title}`,
    tags: ['understudy'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    time: { from: 'now-1h', to: 'now' },
    refresh: '10s',
    templating: {
      list: [
        {
          name: 'pair',
          label: 'Pair',
          type: 'query',
          datasource: PROMETHEUS,
          query: 'label_values(understudy_up, pair)',
          includeAll: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
        },
      ],
    },
    panels: placed(panels),
  };
}

/** The dashboards for Grafana, by the names of their files. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  pair: dashboard('pair', 'pair', [
    number('Active', { [`understudy_info{${PAIR}} * on (instance) understudy_role{role="active"} == 1`]: '{{name}}' }),
    number('Epoch', { [`max by (pair) (understudy_epoch{${PAIR}})`]: '{{pair}}' }),
    number('Protected', {
      [`understudy_database_protected{${PAIR}} * on (instance) understudy_role{role="active"}`]: '{{instance}}',
    }),
    number('Automatic failover armed', {
      [`max by (pair) (understudy_automatic_failover_armed{${PAIR}})`]: '{{pair}}',
    }),
    phases('States', { [`understudy_state{${PAIR}} == 1`]: '{{instance}} {{state}}' }),
    lines(
      'Heartbeat, round trip',
      {
        [`histogram_quantile(0.5, sum by (le, instance) (rate(understudy_heartbeat_round_trip_seconds_bucket{${PAIR}}[1m])))`]:
          '{{instance}} median',
        [`histogram_quantile(0.99, sum by (le, instance) (rate(understudy_heartbeat_round_trip_seconds_bucket{${PAIR}}[1m])))`]:
          '{{instance}} 99 %',
      },
      's',
    ),
    lines('Missed beats', { [`increase(understudy_heartbeat_missed_total{${PAIR}}[1m])`]: '{{instance}}' }, 'none'),
  ]),
  failover: dashboard('failover', 'anatomy of a failover', [
    phases('Roles', { [`understudy_role{${PAIR}} == 1`]: '{{instance}} {{role}}' }),
    lines(
      'Effects, mean duration',
      {
        [`understudy_effect_duration_seconds_sum{${PAIR}} / understudy_effect_duration_seconds_count`]:
          '{{instance}} {{effect}} {{outcome}}',
      },
      's',
    ),
    lines(
      'Effects',
      { [`understudy_effect_duration_seconds_count{${PAIR}}`]: '{{instance}} {{effect}} {{outcome}}' },
      'none',
    ),
    lines('Operations', { [`understudy_operations_total{${PAIR}}`]: '{{instance}} {{kind}} {{result}}' }, 'none'),
    lines(
      'Since the last heartbeat of the peer',
      { [`time() - understudy_peer_last_heartbeat_seconds{${PAIR}}`]: '{{instance}}' },
      's',
    ),
    DECISIONS,
  ]),
  replication: dashboard('replication', 'replication', [
    lines('Lag', { [`understudy_replication_lag_bytes{${PAIR}}`]: '{{instance}}' }, 'bytes'),
    lines('Delay', { [`understudy_replication_delay_seconds{${PAIR}}`]: '{{instance}}' }, 's'),
    phases('Streaming', { [`understudy_database_streaming{${PAIR}}`]: '{{instance}}' }),
    phases('PostgreSQL answers', { [`understudy_database_usable{${PAIR}}`]: '{{instance}}' }),
  ]),
  services: dashboard('services', 'host and services', [
    number('Version', { [`understudy_build_info{${PAIR}}`]: '{{instance}} {{version}}' }),
    number('Health monitor answers', { [`understudy_up{${PAIR}}`]: '{{instance}}' }),
    number(
      'In this state since',
      { [`understudy_state_since_seconds{${PAIR}} * 1000`]: '{{instance}}' },
      'dateTimeFromNow',
    ),
    number('Peer heard', { [`understudy_peer_reachable{${PAIR}}`]: '{{instance}}' }),
    phases('Processes of the application', { [`understudy_process_running{${PAIR}}`]: '{{instance}} {{name}}' }),
    lines('Restarts', { [`understudy_process_restarts_total{${PAIR}}`]: '{{instance}} {{name}}' }, 'none'),
    lines('PostgreSQL runs', { [`understudy_database_running{${PAIR}}`]: '{{instance}}' }, 'none'),
    lines('Answers to Prometheus', { [`scrape_duration_seconds{job="understudy", ${PAIR}}`]: '{{instance}}' }, 's'),
  ]),
};
