import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { nodeBinary, REPOSITORY } from '../real-pair/node-scripts.ts';
import { postgresBinDirectory } from '../real-pair/plain-postgres.ts';
import { BENCH_KINDS, type Footprint, type MeasuredRun, spread } from './measured-run.ts';

/** All of a benchmark. */
export interface BenchReport {
  readonly at: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, string>>;
  readonly runs: readonly MeasuredRun[];
  readonly footprints: readonly Footprint[];
}

const TITLES: Readonly<Record<string, string>> = {
  'postgres-killed': '`kill -9` of PostgreSQL, restarted in place',
  'forced-failover': 'forced failover',
  failback: 'failback',
  'host-death': 'host death',
  'link-cut': 'link cut',
  'host-death-default-timers': 'host death, default timers',
  'host-death-quick': 'host death, quick timers and a witness',
  'link-cut-quick': 'link cut for 60 s, quick timers and a witness',
  'busy-quick': 'nothing but a busy machine (load 15) for 10 minutes, quick timers and a witness',
};

/** Processor, memory and kernel of this machine in one line. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const memoryGib = Math.round(totalmem() / 1024 ** 3);
  const system = readFileSync('/etc/os-release', 'utf8').match(/^PRETTY_NAME="(.*)"$/m)?.[1] ?? 'Linux';
  return `${cpus().length} x ${cpu?.model.trim() ?? 'unknown processor'}, ${memoryGib} GiB, ${system}, kernel ${release()}`;
}

/** Versions of what takes part; 'unknown' where a part does not say. */
export function partVersions(): Record<string, string> {
  const first = (file: string, args: string[], pattern: RegExp) => {
    try {
      return (
        execFileSync(file, args, { encoding: 'utf8', cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'pipe'] }).match(
          pattern,
        )?.[0] ?? 'unknown'
      );
    } catch {
      return 'unknown';
    }
  };
  return {
    understudy: first('git', ['rev-parse', '--short', 'HEAD'], /\w+/),
    'Node.js': first(nodeBinary(), ['--version'], /[\d.]+/),
    PostgreSQL: first(`${postgresBinDirectory()}/postgres`, ['--version'], /\d[\d.]+/),
    'nats-server': first('nats-server', ['--version'], /\d[\d.]+/),
    Redis: first('redis-server', ['--version'], /\d+\.[\d.]+/),
  };
}

/** The report as Markdown tables. Times in seconds. */
export function toMarkdown(report: BenchReport): string {
  const pairsOf = (record: Readonly<Record<string, string>>, separator = ', ') =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value}`)
      .join(separator);
  const lines = [
    `Measured ${report.at.slice(0, 10)} on ${report.machine}; ${pairsOf(report.versions)}.`,
    `Settings: ${pairsOf(report.settings, '; ')}.`,
  ];
  const rows = BENCH_KINDS.flatMap((kind) =>
    outageRow(
      kind,
      report.runs.filter((run) => run.kind === kind),
    ),
  );
  if (rows.length > 0) {
    lines.push(
      '',
      '| what happens | n | outage min | median | max | lost rows | lost after the heal | unknown rows | rejoin median (max) | load before |',
      '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |',
      ...rows,
    );
  }
  if (report.footprints.length > 0) {
    lines.push(
      '',
      '| layout | server | processes | memory (PSS) | processor |',
      '| --- | --- | --: | --: | --: |',
      ...report.footprints.map(
        ({ layout, server, processes, pssMib, cpuPercent, seconds }) =>
          `| ${layout} | ${server} | ${processes} | ${pssMib.toFixed(0)} MiB | ${cpuPercent.toFixed(1)} % of a core over ${seconds} s |`,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

function outageRow(kind: string, runs: readonly MeasuredRun[]): string[] {
  const outage = spread(runs.map((run) => run.outageMs));
  if (!outage) return [];
  const rejoin = spread(runs.flatMap((run) => run.rejoinMs ?? []));
  const sum = (pick: (run: MeasuredRun) => number) => runs.reduce((total, run) => total + pick(run), 0);
  const acknowledged = sum((run) => run.acknowledgedRows);
  const load = spread(runs.map((run) => run.loadBefore))?.median ?? 0;
  const cells = [
    TITLES[kind] ?? kind,
    runs.length,
    ...[outage.min, outage.median, outage.max].map((ms) => `${seconds(ms)} s`),
    `${sum((run) => run.lostRows)} of ${acknowledged}`,
    sum((run) => run.lostRowsAfterReturn),
    sum((run) => run.unknownRows),
    rejoin ? `${seconds(rejoin.median)} s (${seconds(rejoin.max)} s)` : '',
    load.toFixed(1),
  ];
  return [`| ${cells.join(' | ')} |`];
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(2);
}
