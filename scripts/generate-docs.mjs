/**
 * `npm run docs:generate`: writes docs/generated from the rules of the built @understudy/ha-core and the metrics of @understudy/telemetry, and the dashboards of
 * infra/grafana from the latter. With `-- --check` it writes nothing
 * and fails when a file there is not what the rules say.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './bootstrap.mjs';

const FOLDER = 'docs/generated';
const BUILT = 'libs/ha-core/dist/index.js';
const BUILT_METRICS = 'libs/telemetry/dist/metrics.js';
const BUILT_DASHBOARDS = 'libs/telemetry/dist/dashboards.js';
const DASHBOARD_FOLDER = 'infra/grafana/dashboards';

/** The phases of the diagrams' colours, with the states of each. */
const PHASES = [
  { name: 'setup', title: 'not paired yet', colour: '#e0e0e0', states: ['ha-not-configured', 'ha-initializing'] },
  {
    name: 'serving',
    title: 'owns the active role and serves',
    colour: '#c8e6c9',
    states: ['primary-active', 'primary-lost-secondary', 'secondary-active', 'secondary-failback'],
  },
  {
    name: 'failed',
    title: 'has failed',
    colour: '#ffcdd2',
    states: ['primary-uncertain', 'secondary-uncertain', 'primary-database-copy-failed'],
  },
  {
    name: 'changing',
    title: 'the role changes hands',
    colour: '#fff3c4',
    states: ['primary-failover', 'primary-failback', 'secondary-failover', 'secondary-post-failback'],
  },
  {
    name: 'standby',
    title: 'does not serve',
    colour: '#bbdefb',
    states: [
      'primary-alone',
      'primary-preparing-for-failback',
      'primary-syncing',
      'secondary-alone',
      'secondary-syncing',
      'secondary-lost-primary',
    ],
  },
];

/** What a server does in each state; an entry by role where the two differ. */
const WHAT_IT_DOES = {
  'ha-not-configured': {
    primary: 'Serves alone, like a single server: the database is open and the processes run.',
    secondary: 'Serves nobody. Waits to be registered; the database and the processes are stopped.',
  },
  'health-monitor-available': 'The manager has just started and reads its record. Seen in the event list only.',
  'ha-initializing': {
    primary: 'Serves, proves the authentication key to the secondary, and is the source of the full copy.',
    secondary: 'Takes the full copy of the database. Serves nobody.',
  },
  'primary-alone':
    'Does not serve. Looks for the secondary and asks for its consent; serves only with it, or when an operator says so. From the consent until the standby is attached it already serves under this name.',
  'primary-active': 'Serves, and the secondary follows.',
  'primary-database-copy-failed':
    'Does not serve. The full copy from the active secondary failed; it is tried again every 300 s.',
  'primary-failover':
    'Gives the role up or has given it up: stops processes and database, consents, then follows the secondary.',
  'primary-failback':
    'Takes the role back: receives the last record of the secondary, asks for its consent, opens service.',
  'primary-lost-secondary': 'Serves without a secondary that follows.',
  'primary-preparing-for-failback':
    'Does not serve. Becomes a standby of the active secondary: follows, rewinds or copies.',
  'primary-syncing': 'Does not serve. Follows the active secondary and is up to date: failback is possible.',
  'primary-uncertain':
    'Owns the role but has failed: a critical process or the database cannot be kept running. Goes on trying.',
  'secondary-alone':
    'Does not serve. The primary restarted and was lost again before it was in sync: no automatic failover from here.',
  'secondary-syncing': 'Does not serve. Follows the primary and is up to date.',
  'secondary-active': 'Serves. The primary follows when it can.',
  'secondary-lost-primary':
    'Does not serve. The primary is not usable: not heard, failed, restarted, or not followed. Automatic failover starts here.',
  'secondary-failover':
    'Takes the role: asks the primary to stop where it can be asked, promotes the database, starts the processes.',
  'secondary-failback': 'Still serves; waits until the primary is ready to take the role.',
  'secondary-post-failback': 'Has stopped serving for the failback: consents, then follows the primary.',
  'secondary-uncertain':
    'The database or a critical process has failed. As a standby: not promotable. As the active server: owns the role and goes on trying.',
};

/** Every file of docs/generated with its text. Pure: the same rules give the same bytes. */
export function generatedFiles(core, timingSource, telemetry) {
  return {
    'README.md': index(core),
    'metrics.md': metricsPage(telemetry),
    'primary.md': rulesPage(core, 'primary'),
    'secondary.md': rulesPage(core, 'secondary'),
    'states.md': statesPage(core),
    'times-and-gaps.md': timesAndGaps(core, timingSource),
  };
}

function index({ RULES, HA_STATES }) {
  return page('The state machine, from its rules', [
    `${RULES.primary.length} rows of the primary, ${RULES.secondary.length} of the secondary, ${HA_STATES.length} states.`,
    [
      '- [states](states.md): every state, what the server does in it, the ways out',
      '- [the primary’s rows](primary.md) and [the secondary’s rows](secondary.md), each with a diagram',
      '- [times and reasoned gaps](times-and-gaps.md)',
      '- [metrics](metrics.md) for Prometheus',
    ].join('\n'),
    'What to do about a state, at night: [docs/operations](../operations/README.md).',
  ]);
}

function metricsPage({ METRICS, prometheusName }) {
  const rows = Object.entries(METRICS).map(([name, { kind, unit, says, attributes = [] }]) => [
    code(prometheusName(name)),
    code(name),
    kind,
    code(unit),
    attributes.map(code).join(', '),
    says,
  ]);
  return page(
    'Metrics',
    [
      'At `/metrics` of each server, in the text format of Prometheus, without a login. Names and units by the conventions of OpenTelemetry. What a server does not know is left out.',
      table(['in Prometheus', 'name', 'kind', 'unit', 'attributes', 'what it says'], rows),
    ],
    'libs/telemetry',
  );
}

function rulesPage(core, role) {
  const rules = core.RULES[role];
  const running = rules.filter((rule) => !rule.on.includes('boot'));
  const boots = rules.filter((rule) => rule.on.includes('boot'));
  const legend = PHASES.map(({ title, states }) => {
    const here = states.filter((state) => core.STATES_OF_ROLE[role].includes(state));
    return `- ${title}: ${here.map((state) => core.HA_STATE_LABELS[state]).join(', ')}`;
  });
  return page(`The ${role}’s rows`, [
    'Rows are tried from top to bottom; the first whose conditions (*when*) all hold wins. *To* `=` stays in the state.',
    '## While it runs',
    diagram(core, running),
    `Colours:\n\n${legend.join('\n')}`,
    '## After a start of the server',
    diagram(core, boots),
    '## All rows',
    table(
      ['id', 'from', 'on', 'when', 'to', 'change', 'effects', 'says', 'source'],
      rules.map((rule) => [
        rule.id,
        lines(rule.from.map((state) => core.HA_STATE_LABELS[state])),
        lines(rule.on.map(code)),
        lines(rule.when.map(code)),
        rule.to === null ? '=' : core.HA_STATE_LABELS[rule.to],
        lines((rule.change ?? []).map(code)),
        lines((rule.effects ?? []).map(code)),
        rule.says,
        source(rule.spec),
      ]),
    ),
  ]);
}

/** One edge per pair of states, labelled with the rows that lead along it. */
function diagram(core, rules) {
  const edges = edgesOf(rules);
  const shown = core.HA_STATES.filter((state) => edges.some(({ from, to }) => from === state || to === state));
  const unknown = shown.filter((state) => !PHASES.some(({ states }) => states.includes(state)));
  if (unknown.length > 0) throw new Error(`scripts/generate-docs.mjs has no phase for ${unknown.join(', ')}`);
  const phases = PHASES.map((phase) => ({ ...phase, states: phase.states.filter((state) => shown.includes(state)) }));
  const used = phases.filter(({ states }) => states.length > 0);
  return [
    '```mermaid',
    'stateDiagram-v2',
    ...shown.map((state) => `  state "${core.HA_STATE_LABELS[state]}" as ${mermaidId(state)}`),
    ...edges.map(({ from, to, ids }) => `  ${mermaidId(from)} --> ${mermaidId(to)}: ${ids.join(', ')}`),
    ...used.map(({ name, colour }) => `  classDef ${name} fill:${colour},color:#000`),
    ...used.map(({ name, states }) => `  class ${states.map(mermaidId).join(', ')} ${name}`),
    '```',
  ].join('\n');
}

/** Pairs of different states with the ids of their rows, in the order of the rows. */
export function edgesOf(rules) {
  const edges = new Map();
  for (const { id, from: froms, to } of rules) {
    for (const from of froms) {
      if (to === null || to === from) continue;
      const key = `${from} ${to}`;
      const edge = edges.get(key) ?? { from, to, ids: [] };
      edges.set(key, { ...edge, ids: [...edge.ids, id] });
    }
  }
  return [...edges.values()];
}

function statesPage(core) {
  const { HA_STATES, HA_STATE_LABELS, STATES_OF_ROLE, RULES } = core;
  const rows = HA_STATES.flatMap((state) => {
    const roles = ['primary', 'secondary'].filter((role) => STATES_OF_ROLE[role].includes(state));
    const does = WHAT_IT_DOES[state];
    if (does === undefined) throw new Error(`scripts/generate-docs.mjs does not say what a server does in ${state}`);
    if (roles.length === 0) return [[HA_STATE_LABELS[state], code(state), 'both', does, 'by itself, at once']];
    return roles.map((role) => [
      HA_STATE_LABELS[state],
      code(state),
      role,
      typeof does === 'string' ? does : does[role],
      waysOut(core, RULES[role], state),
    ]);
  });
  return page('The states', [
    'The words are those of `ha status`; the name is that of the code and of the messages. Each way out names its rows, in [the primary’s](primary.md) or [the secondary’s](secondary.md) table. After a start of the server the rows for `boot` come first.',
    table(['shown as', 'name', 'server', 'what the server does', 'ways out'], rows),
  ]);
}

function waysOut({ HA_STATE_LABELS }, rules, state) {
  const targets = new Map();
  for (const { id, from, on, to, says } of rules) {
    if (!from.includes(state) || to === null || to === state || on.includes('boot')) continue;
    targets.set(to, [...(targets.get(to) ?? []), `${says} (${id})`]);
  }
  const ways = [...targets].map(([to, reasons]) => `**${HA_STATE_LABELS[to]}**: ${reasons.join('; ')}`);
  return ways.length === 0 ? 'after a start only' : lines(ways);
}

function timesAndGaps({ TIMING, IGNORED, HA_STATE_LABELS }, timingSource) {
  const meaning = meaningsOf(timingSource);
  const unknown = Object.keys(TIMING).filter((name) => !meaning.has(name));
  if (unknown.length > 0) throw new Error(`libs/ha-core/src/timing.ts has no comment for ${unknown.join(', ')}`);
  return page('Times and reasoned gaps', [
    '## Times that are no setting',
    table(
      ['name', 'value', 'meaning'],
      Object.entries(TIMING).map(([name, ms]) => [code(name), `${ms / 1000} s`, meaning.get(name)]),
    ),
    'The reasons are in [docs/decisions/0002-timers.md](../decisions/0002-timers.md). Heartbeat and failover times are settings of the configuration file.',
    '## Reasoned gaps',
    'Every pair of state and event has a row in the tables, or an entry here. A pair whose rows do not apply is ignored for the rows’ own reasons.',
    table(
      ['in', 'events', 'why nothing happens'],
      IGNORED.map(({ states, events, because }) => [
        states === 'every-state' ? 'every state' : lines(states.map((state) => HA_STATE_LABELS[state])),
        lines(events.map(code)),
        because,
      ]),
    ),
  ]);
}

/** The doc comment of each constant. */
function meaningsOf(timingSource) {
  const found = timingSource.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+): [\d_]+,/g);
  return new Map([...found].map(([, comment, name]) => [name, comment.replaceAll(/\s*\n\s*\*\s?/g, ' ').trim()]));
}

function page(title, parts, from = 'libs/ha-core') {
  const note = `<!-- Written by "npm run docs:generate" from ${from}; changes here are lost. -->`;
  return `${[`# ${title}`, note, ...parts].join('\n\n')}\n`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function source(spec) {
  return spec.replace(/docs\/(decisions\/([\w-]+)\.md)/, (_, path, name) => `[${name}](../${path})`);
}

const lines = (parts) => parts.join('<br>');
const code = (name) => `\`${name}\``;
const mermaidId = (state) => state.replaceAll('-', '_');

async function main() {
  for (const built of [BUILT, BUILT_METRICS, BUILT_DASHBOARDS]) {
    if (existsSync(join(ROOT, built))) continue;
    console.error(`${built} is missing: run "npm run build" first.`);
    return 2;
  }
  const [core, telemetry] = await Promise.all([import(join(ROOT, BUILT)), import(join(ROOT, BUILT_METRICS))]);
  const wanted = generatedFiles(core, readFileSync(join(ROOT, 'libs/ha-core/src/timing.ts'), 'utf8'), telemetry);
  const { DASHBOARDS } = await import(join(ROOT, BUILT_DASHBOARDS));
  const dashboards = Object.fromEntries(
    Object.entries(DASHBOARDS).map(([name, content]) => [`${name}.json`, `${JSON.stringify(content, null, 2)}\n`]),
  );
  const statuses = [bringUpToDate(FOLDER, wanted), bringUpToDate(DASHBOARD_FOLDER, dashboards)];
  return Math.max(...statuses);
}

/** Writes what a folder of generated files should hold; with --check only says what is not so. Returns the exit code. */
function bringUpToDate(place, wanted) {
  const folder = join(ROOT, place);
  mkdirSync(folder, { recursive: true });
  const names = [...new Set([...readdirSync(folder), ...Object.keys(wanted)])].sort();
  const present = (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined);
  const outdated = names.filter((name) => present(name) !== wanted[name]);
  if (process.argv.includes('--check')) {
    for (const name of outdated) console.error(`${place}/${name} is not what its source says.`);
    if (outdated.length > 0) console.error('Run "npm run docs:generate" and keep what it writes.');
    return outdated.length === 0 ? 0 : 1;
  }
  for (const name of outdated) {
    if (wanted[name] === undefined) rmSync(join(folder, name));
    else writeFileSync(join(folder, name), wanted[name]);
    console.log(`${place}/${name}`);
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
