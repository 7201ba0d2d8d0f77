import type { StatusView } from '@understudy/contracts';

type Labels = Readonly<Record<string, string>>;

/** The status as gauges in Prometheus text format 0.0.4. Without a status only `understudy_up 0` and the version. */
export function prometheusText(status: StatusView | null, version: string): string {
  const lines: string[] = [];
  const gauge = (name: string, help: string, samples: readonly (readonly [Labels, number | boolean | null])[]) => {
    const known = samples.filter(([, value]) => value !== null);
    if (known.length === 0) return;
    lines.push(`# HELP understudy_${name} ${help}`, `# TYPE understudy_${name} gauge`);
    for (const [labels, value] of known) lines.push(`understudy_${name}${labelText(labels)} ${Number(value)}`);
  };
  gauge('build_info', 'Version of this server.', [[{ version }, 1]]);
  gauge('up', 'Whether the health-monitor answers.', [[{}, status !== null]]);
  if (!status) return `${lines.join('\n')}\n`;
  const { node, peer, database, fileSync } = status;
  gauge('info', 'Name, home role, state and configuration mode of this server.', [
    [{ name: node.name, home_role: node.homeRole, state: status.state, mode: status.configurationMode }, 1],
  ]);
  gauge('active', 'Whether this server is active.', [[{}, status.currentRole === 'active']]);
  gauge('standby', 'Whether this server stands by.', [[{}, status.currentRole === 'standby']]);
  gauge('epoch', 'Fencing token; grows at each promotion.', [[{}, status.epoch]]);
  gauge('state_since_seconds', 'Unix time at which the state was entered.', [[{}, unixSeconds(status.since)]]);
  if (status.witness != null)
    gauge('witness_reachable', 'Whether this server reaches its witness.', [[{}, status.witness.reachable]]);
  gauge('automatic_failover_armed', 'Whether this server would take over by itself.', [
    [{}, status.automaticFailover.armed],
  ]);
  gauge('peer_reachable', 'Whether the peer is heard.', [[{}, peer?.reachable ?? null]]);
  gauge('peer_round_trip_seconds', 'Round trip of the last heartbeat.', [[{}, seconds(peer?.roundTripMs ?? null)]]);
  gauge('peer_last_heartbeat_seconds', 'Unix time of the last heartbeat.', [
    [{}, peer?.lastHeartbeatAt ? unixSeconds(peer.lastHeartbeatAt) : null],
  ]);
  gauge('database_running', 'Whether PostgreSQL runs.', [[{}, database.running]]);
  gauge('database_usable', 'Whether PostgreSQL answers.', [[{}, database.usable]]);
  gauge('database_streaming', 'Whether the databases stream.', [[{}, database.streaming]]);
  gauge('database_protected', 'Whether the peer holds a current copy.', [[{}, database.protected]]);
  gauge('database_lag_bytes', 'Replication lag.', [[{}, database.lagBytes]]);
  gauge('database_lag_seconds', 'Replication lag.', [[{}, database.lagSeconds]]);
  gauge('file_sync_pending', 'Files that wait to be synchronised.', [[{}, fileSync.pending]]);
  gauge('file_sync_errors', 'Files that could not be synchronised.', [[{}, fileSync.errors]]);
  const perProcess = (value: (process: StatusView['processes'][number]) => number | boolean) =>
    status.processes.map((process) => [{ name: process.name }, value(process)] as const);
  gauge(
    'process_running',
    'Whether an application process runs.',
    perProcess((p) => p.state === 'running'),
  );
  gauge(
    'process_restarts',
    'Restarts of an application process.',
    perProcess((p) => p.restarts),
  );
  return `${lines.join('\n')}\n`;
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length > 0 ? `{${parts.join(',')}}` : '';
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function unixSeconds(iso: string): number {
  return Date.parse(iso) / 1000;
}
