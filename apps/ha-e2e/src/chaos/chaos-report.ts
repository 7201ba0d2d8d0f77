import type { WritableWindow } from './windows.ts';

/** Something that the product does not allow. */
export interface Violation {
  readonly kind:
    | 'two writable servers'
    | 'two actives that hear each other'
    | 'the application ran on both servers'
    | 'dead end'
    | 'acknowledged write unaccounted for'
    | 'set aside without a word'
    | 'row missing on the standby'
    | 'the pair could not be built';
  /** Number of the group of faults after which it was seen; 0 before the first. */
  readonly group: number;
  readonly details: string;
  /** Status, events and log lines of both servers. */
  readonly account: string;
}

/** One fault as it was carried out. Times in milliseconds since the begin of the run. */
export interface FaultRecord {
  readonly kind: string;
  /** What it was done to. */
  readonly target: string;
  readonly beginMs: number;
  readonly endMs: number;
  /** Why it could not be done, or what became of it. */
  readonly note: string;
  readonly wasDone: boolean;
}

/** One group of faults and what came of it. Times in milliseconds since the begin of the run. */
export interface GroupRecord {
  readonly number: number;
  readonly planned: string;
  readonly at: string;
  readonly beginMs: number;
  readonly faults: readonly FaultRecord[];
  readonly activeBefore: string;
  /** '': the pair did not come to rest. */
  readonly activeAfter: string;
  /** Longest time without an acknowledged row of the client, from the begin of the group until rest. */
  readonly outageMs: number;
  /** From the end of the last fault until rest; null: never. */
  readonly restMs: number | null;
  readonly load: number;
}

/** A step that the pair needed an operator for. */
export interface OperatorAction {
  readonly group: number;
  readonly name: string;
  readonly situation: string;
  readonly outcome: string;
}

/** All of a run. */
export interface ChaosReport {
  readonly at: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, string>>;
  readonly isInterrupted: boolean;
  readonly minutes: number;
  readonly groups: readonly GroupRecord[];
  readonly takeovers: number;
  readonly pairsBuilt: number;
  readonly runnerRestarts: number;
  readonly windows: readonly (WritableWindow & { readonly excuse: string | null })[];
  readonly rows: {
    readonly acknowledged: number;
    readonly present: number;
    readonly setAside: number;
    readonly unaccounted: number;
    /** Acknowledged after the last time of rest, or by a pair that did not come to rest: not looked for. */
    readonly notChecked: number;
    readonly unknown: number;
  };
  readonly operatorActions: readonly OperatorAction[];
  readonly violations: readonly Violation[];
  readonly loadAverage: { readonly begin: number; readonly highest: number; readonly end: number };
  readonly notTried: readonly string[];
}

/** The report as Markdown. */
export function toMarkdown(report: ChaosReport): string {
  const { rows, violations, windows, operatorActions, loadAverage } = report;
  const excused = windows.filter(({ excuse }) => excuse !== null);
  return [
    '# Chaos run',
    '',
    `${report.at}, ${report.minutes.toFixed(1)} minutes${report.isInterrupted ? ', interrupted' : ''}, on ${report.machine}; ${pairsOf(report.versions)}.`,
    '',
    `Settings: ${pairsOf(report.settings)}.`,
    '',
    violations.length === 0
      ? '**No violation.**'
      : `**${violations.length} violation${violations.length === 1 ? '' : 's'}: ${countsOf(violations.map(({ kind }) => kind))}.**`,
    '',
    '| | |',
    '| --- | --: |',
    `| groups of faults | ${report.groups.length} |`,
    `| faults carried out | ${report.groups.flatMap(({ faults }) => faults.filter(({ wasDone }) => wasDone)).length} |`,
    `| changes of the active server | ${report.takeovers} |`,
    `| windows of two writable servers | ${windows.length - excused.length}, and ${excused.length} within what is promised |`,
    `| rows acknowledged | ${rows.acknowledged} |`,
    `| present on both servers | ${rows.present} |`,
    `| set aside, and named by an event | ${rows.setAside} |`,
    `| unaccounted for | ${rows.unaccounted} |`,
    `| not checked (no rest after them) | ${rows.notChecked} |`,
    `| of unknown outcome (never acknowledged) | ${rows.unknown} |`,
    `| dead ends | ${violations.filter(({ kind }) => kind === 'dead end').length} |`,
    `| operator actions needed | ${operatorActions.length} |`,
    `| \`node run\` started again by the init system | ${report.runnerRestarts} |`,
    `| pairs built | ${report.pairsBuilt} |`,
    `| load average at the begin, highest, at the end | ${[loadAverage.begin, loadAverage.highest, loadAverage.end].map((load) => load.toFixed(1)).join(', ')} |`,
    '',
    '## Faults by kind',
    '',
    'Outage: the longest time without an acknowledged row of the client, until the pair was at rest.',
    '',
    '| fault | carried out | not possible | longest outage, alone | with another | longest way to rest |',
    '| --- | --: | --: | --: | --: | --: |',
    ...faultRows(report.groups),
    '',
    '## Schedule',
    '',
    '| # | begin | faults | active | outage | at rest after | load |',
    '| --: | --: | --- | --- | --: | --: | --: |',
    ...report.groups.map(groupRow),
    ...section('Operator actions', operatorActions, ({ group, name, situation, outcome }) => [
      `* after group ${group}: ${name} (${situation}): ${outcome}`,
    ]),
    ...section('Windows of two writable servers', windows, (window) => [`* ${describeWindow(window)}`]),
    ...section('Violations', violations, ({ kind, group, details, account }, index) => [
      `### ${index + 1}. ${kind}, group ${group}`,
      '',
      details,
      '',
      ...(account ? ['```', account, '```', ''] : []),
    ]),
    ...section('Not tried on this machine', report.notTried, (text) => [`* ${text}`]),
    '',
  ].join('\n');
}

/** A window in words. */
export function describeWindow({ older, newer, fromMs, toMs, rows, excuse }: ChaosReport['windows'][number]): string {
  const length = seconds(toMs - fromMs);
  return `${older.server} (timeline ${older.timeline}) acknowledged ${rows} rows over ${length} that were begun after ${newer.server} (timeline ${newer.timeline}) had acknowledged one: ${excuse ?? 'not allowed'}`;
}

function faultRows(groups: readonly GroupRecord[]): string[] {
  const kinds = [...new Set(groups.flatMap(({ faults }) => faults.map(({ kind }) => kind)))].toSorted();
  const longest = (list: readonly (number | null)[]) =>
    list.length === 0 ? '' : list.includes(null) ? 'never' : seconds(Math.max(...list.map(Number)));
  return kinds.map((kind) => {
    const all = groups.flatMap(({ faults }) => faults).filter((fault) => fault.kind === kind);
    const done = groups.filter(({ faults }) => faults.some((fault) => fault.kind === kind && fault.wasDone));
    const isAlone = ({ faults }: GroupRecord) => faults.filter(({ wasDone }) => wasDone).length === 1;
    const cells = [
      kind,
      all.filter(({ wasDone }) => wasDone).length,
      all.filter(({ wasDone }) => !wasDone).length,
      longest(done.filter(isAlone).map(({ outageMs }) => outageMs)),
      longest(done.filter((group) => !isAlone(group)).map(({ outageMs }) => outageMs)),
      longest(done.map(({ restMs }) => restMs)),
    ];
    return `| ${cells.join(' | ')} |`;
  });
}

function groupRow(group: GroupRecord): string {
  const faults = group.faults.map(({ kind, target, beginMs, endMs, note, wasDone }) => {
    const times = wasDone
      ? ` ${seconds(beginMs - group.beginMs)} to ${seconds(endMs - group.beginMs)}`
      : ' not possible';
    return `${kind}${target ? ` (${target})` : ''}${times}${note ? `: ${note.replaceAll(/[|\n]/g, ' ')}` : ''}`;
  });
  const cells = [
    group.number,
    seconds(group.beginMs),
    faults.join('<br>'),
    `${group.activeBefore} > ${group.activeAfter || '?'}`,
    seconds(group.outageMs),
    group.restMs === null ? 'never' : seconds(group.restMs),
    group.load.toFixed(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

function section<T>(title: string, items: readonly T[], lines: (item: T, index: number) => string[]): string[] {
  return items.length === 0 ? [] : ['', `## ${title}`, '', ...items.flatMap(lines)];
}

function countsOf(names: readonly string[]): string {
  return [...new Set(names)].map((name) => `${names.filter((other) => other === name).length} x ${name}`).join(', ');
}

function pairsOf(record: Readonly<Record<string, string>>): string {
  return Object.entries(record)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
