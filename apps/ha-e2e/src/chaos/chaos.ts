/**
 * Real faults on the real pair: `npm run chaos -- --minutes M --seed N`. See docs/chaos.md and `--help`.
 * The report goes to stdout, progress to stderr.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { namespacesAreAvailable } from '../real-pair/namespaces.ts';
import { REPOSITORY } from '../real-pair/node-scripts.ts';
import { toMarkdown } from './chaos-report.ts';
import { ChaosRun } from './chaos-run.ts';
import { describeGroup, faultGroups } from './schedule.ts';
import type { ChaosSettings } from './settings.ts';
import { fail, settings } from './settings-or-exit.ts';

const PROGRAMS = ['nats-server', 'redis-server', 'ip', 'tc', 'mount', 'fallocate'] as const;
const GROUPS_SHOWN = 100;

/** Ends with exit code 2 where this machine cannot do it. */
function requireMachine({ reportFile, jsonFile }: ChaosSettings): void {
  if (process.platform !== 'linux') fail('needs Linux: servers are network namespaces');
  if (process.getuid?.() !== 0) fail('needs root, for network namespaces and signals: run it with sudo');
  if (!namespacesAreAvailable()) fail('network namespaces cannot be made here (a container without CAP_SYS_ADMIN?)');
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = PROGRAMS.filter((name) => !directories.some((directory) => existsSync(join(directory, name))));
  if (missing.length > 0)
    fail(`${missing.join(', ')} not found: npm run bootstrap -- --tests installs what is missing`);
  if (!existsSync(join(REPOSITORY, 'apps/cli/dist'))) fail('the product is not built: npm run build');
  for (const file of [reportFile, jsonFile])
    if (file && !existsSync(dirname(file))) fail(`${file}: there is no directory ${dirname(file)}`);
}

/** The groups of a seed, as many as a long run may see. */
function printSchedule({ seed, kinds }: ChaosSettings): void {
  const schedule = faultGroups(seed, kinds);
  for (let number = 1; number <= GROUPS_SHOWN; number++)
    process.stdout.write(`${number}. ${describeGroup(schedule.next().value)}\n`);
}

function progress(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

if (settings.onlySchedule) {
  printSchedule(settings);
  process.exit(0);
}
requireMachine(settings);
if (settings.evidenceDirectory) mkdirSync(settings.evidenceDirectory, { recursive: true });

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // a second one does not wait; what is left behind is removed by the guardian of the stage
    if (interrupted.signal.aborted) process.exit(130);
    progress('stopping; once more to stop at once');
    interrupted.abort();
  });
}

progress(`seed ${settings.seed}, ${settings.minutes} minutes`);
const run = new ChaosRun(settings, interrupted.signal, progress);
try {
  await run.run();
} finally {
  const report = run.report();
  if (settings.jsonFile) writeFileSync(settings.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  if (settings.reportFile) writeFileSync(settings.reportFile, toMarkdown(report));
  process.stdout.write(toMarkdown(report));
  process.exitCode = report.violations.length > 0 ? 1 : report.isInterrupted ? 130 : 0;
}
process.exit();
