import type { EventView, ReadinessReport, StatusView } from '@understudy/contracts';

/** What the page shows; null where the health-monitor did not answer. */
export interface PageContent {
  readonly serverName: string;
  readonly status: StatusView | null;
  readonly events: readonly EventView[];
  /** The newest run of the readiness checks; null: there was none, or it cannot be told. */
  readonly readiness: ReadinessReport | null;
}

const STYLE = `
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #8884}
th{font-weight:600;white-space:nowrap}
.critical{color:#b00020}.warning{color:#8a5a00}
@media(prefers-color-scheme:dark){.critical{color:#ff8a80}.warning{color:#ffd180}}
form{margin:1rem 0}input{font:inherit;padding:.3rem;min-width:20rem}button{font:inherit;padding:.3rem 1rem}`;

/** The Health Monitor page: state, peer, database, processes and events, refreshed by the browser every 5 s. Spec: "Use the Health Monitor Web Page". */
export function statusPage({ serverName, status, events, readiness }: PageContent): string {
  const body = status
    ? [
        table('This server', ownRows(status)),
        table('Peer', peerRows(status)),
        table('Database', databaseRows(status)),
        table('Processes', processRows(status)),
        table('Possible now', actionRows(status)),
        status.peer === null ? '' : readinessSection(readiness),
      ].join('')
    : '<p class="critical" role="alert">The health-monitor of this server does not answer. It is restarted by itself.</p>';
  return page(
    `Health Monitor: ${serverName}`,
    `<h1>Health Monitor: ${escapeHtml(serverName)}</h1>
<form method="post" action="/logout"><button>Sign out</button></form>
${body}${eventTable(events)}
<p><a href="/api/docs">REST</a></p>`,
    '<meta http-equiv="refresh" content="5">',
  );
}

/** What who is not signed in sees. `problem`: why the last attempt failed. */
export function loginPage(serverName: string, problem = ''): string {
  return page(
    `Sign in: ${serverName}`,
    `<h1>Health Monitor: ${escapeHtml(serverName)}</h1>
${problem === '' ? '' : `<p class="critical" role="alert">${escapeHtml(problem)}</p>`}
<form method="post" action="/login">
<p><label>Authentication key<br><input type="password" name="authenticationKey" autocomplete="current-password" required autofocus></label></p>
<button>Sign in</button></form>`,
  );
}

function ownRows(status: StatusView): Row[] {
  const { node, operation, automaticFailover } = status;
  return [
    ['Server', `${node.name} (${node.address}), ${node.homeRole}, version ${node.version}`],
    ['State', `${status.state}${status.stateReason ? `: ${status.stateReason}` : ''}`],
    ['Since', status.since],
    ['Current role', status.currentRole],
    ['Mode', status.configurationMode],
    ['Failover type', status.failoverType],
    ['Automatic failover', automaticFailover.armed ? 'armed' : `not armed: ${automaticFailover.reason}`],
    ['Epoch', String(status.epoch)],
    ...(operation
      ? [['Running', `${operation.kind}: ${operation.step}${percent(operation.progressPercent)}`] as const]
      : []),
  ];
}

function peerRows({ peer }: StatusView): Row[] {
  if (!peer) return [['Peer', 'none: HA is not configured']];
  return [
    ['Server', `${peer.name} (${peer.address})`],
    ['State', peer.state ?? 'unknown'],
    ['Reachable', peer.reachable ? 'yes' : 'no'],
    ['Last heartbeat', peer.lastHeartbeatAt ?? 'none'],
    ['Round trip', peer.roundTripMs === null ? 'unknown' : `${peer.roundTripMs.toFixed(1)} ms`],
  ];
}

function databaseRows({ database }: StatusView): Row[] {
  return [
    ['Role', database.role],
    ['Running', database.running ? (database.usable ? 'yes' : 'yes, but not usable') : 'no'],
    ['Replication', `${database.replication}, ${database.streaming ? 'streaming' : 'not streaming'}`],
    ['Protected', database.protected ? 'yes' : 'no'],
    ['Position', `${database.lsn ?? 'unknown'} on timeline ${database.timeline ?? 'unknown'}`],
    ['Lag', `${database.lagBytes ?? 'unknown'} bytes, ${database.lagSeconds ?? 'unknown'} s`],
  ];
}

function processRows({ processes }: StatusView): Row[] {
  if (processes.length === 0) return [['', 'none configured']];
  return processes.map(({ name, state, critical, restarts, reason }) => [
    name,
    `${state}${critical ? ', critical' : ''}, ${restarts} restarts${reason ? `: ${reason}` : ''}`,
  ]);
}

function actionRows({ availableActions, unavailableActions }: StatusView): Row[] {
  return [
    ...availableActions.map((action) => [action, 'possible'] as const),
    ...unavailableActions.map(({ action, reason }) => [action, reason] as const),
  ];
}

/** The three checks before a failover; the others are told by the command line and REST. */
function readinessSection(report: ReadinessReport | null): string {
  const checks = (report?.checks ?? []).filter(({ lists }) => lists.includes('failover'));
  const shown = (text: string | null) => escapeHtml(text ?? 'not measured');
  const lines = checks.map(
    ({ name, status, reason, impact, recommendation, primary, secondary }) =>
      `<tr class="${CLASSES[status]}"><th scope="row">${escapeHtml(name)}</th><td>${status}${reason === '' ? '' : `: ${escapeHtml(reason)}`}</td>` +
      `<td>${shown(primary)}</td><td>${shown(secondary)}</td><td>${escapeHtml(impact)}</td><td>${escapeHtml(recommendation)}</td></tr>`,
  );
  const head = ['Check', 'Status', 'Primary', 'Secondary', 'Impact', 'Recommendation']
    .map((name) => `<th scope="col">${name}</th>`)
    .join('');
  const found = report
    ? `<p>${escapeHtml(report.startedAt)}: ${report.overall}, of all ${report.checks.length} checks.</p><table><tr>${head}</tr>${lines.join('')}</table>`
    : '<p>Not checked yet.</p>';
  return `<h2>Failover readiness</h2>${found}
<form method="post" action="/check-readiness"><button>Check now</button> It takes up to 30 s and changes nothing.</form>`;
}

const CLASSES = { passed: 'passed', warning: 'warning', failed: 'critical', 'not-checked': 'unknown' } as const;

type Row = readonly [string, string];

function table(title: string, rows: readonly Row[]): string {
  const lines = rows.map(
    ([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<h2>${escapeHtml(title)}</h2><table>${lines.join('')}</table>`;
}

function eventTable(events: readonly EventView[]): string {
  const lines = events.map(
    ({ at, severity, message }) =>
      `<tr class="${severity}"><td>${escapeHtml(at)}</td><td>${severity}</td><td>${escapeHtml(message)}</td></tr>`,
  );
  return `<h2>Events</h2><table><tr><th scope="col">At</th><th scope="col">Severity</th><th scope="col">What</th></tr>${lines.join('')}</table>`;
}

function percent(value: number | null): string {
  return value === null ? '' : `, ${Math.round(value)} %`;
}

function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(title)}</title>${head}
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
