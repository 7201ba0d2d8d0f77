/**
 * `npm test`: the whole check of a change. Lint, dependency rules, types, unit and integration tests, scenarios on a real pair.
 * `--quick` leaves the scenarios out. The last line is `N passed, N failed`; the exit code is 0 only when nothing failed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { bootstrap, ROOT, runnable, runOrExplain, toolEnvironment } from './bootstrap.mjs';

const MINUTE_MS = 60_000;
/** Pairs of the scenarios that are built beside one another: most of the time of each is waiting. */
const PAIRS_AT_ONCE = process.env.UNDERSTUDY_SCENARIO_WORKERS ?? '3';
const JEST = ['--experimental-vm-modules', '--no-warnings', join(ROOT, 'node_modules/jest/bin/jest.js')];
const scratch = mkdtempSync(join(tmpdir(), 'understudy-test-'));
const totals = { passed: 0, failed: 0 };
const skipped = [];
const failures = [];
let running;

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    if (running) stopGroup(running, 'SIGTERM');
    rmSync(scratch, { recursive: true, force: true });
    process.exit(130);
  });
}

await runOrExplain(async () => {
  const isQuick = process.argv.includes('--quick');
  bootstrap({ purpose: 'tests' });

  await check('format and lint', bin('biome'), ['check', '--error-on-warnings'], 2 * MINUTE_MS);
  await check('dependency rules follow the tags', runnable(), ['scripts/dependency-rules.mjs', '--check'], MINUTE_MS);
  await check('generated documents are current', runnable(), ['scripts/generate-docs.mjs', '--check'], MINUTE_MS);
  await nodeTests('scripts', 5 * MINUTE_MS);
  await check('types, tests included', runnable(), nx('run-many', '-t', 'typecheck'), 10 * MINUTE_MS);
  await jest('unit tests', ['-c', 'scripts/jest.config.mjs'], {}, 15 * MINUTE_MS);
  await jest('integration tests', ['-c', 'scripts/jest.config.mjs'], { UNDERSTUDY_INTEGRATION: '1' }, 30 * MINUTE_MS);
  await scenarios(isQuick);

  for (const line of failures) console.log(`failed: ${line}`);
  for (const line of skipped) console.log(`skipped: ${line}`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  if (totals.failed > 0 || totals.passed === 0) process.exitCode = 1;
});
rmSync(scratch, { recursive: true, force: true });

async function scenarios(isQuick) {
  const app = join(ROOT, 'apps/ha-e2e');
  const scripts = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')).scripts ?? {};
  if (isQuick) return skip('scenarios on a real pair (--quick)');
  if (!scripts.scenarios) return skip('scenarios on a real pair (apps/ha-e2e has none yet)');
  if (!canMakeNetworks()) return skip('scenarios on a real pair (they need root and network namespaces)');
  const json = join(scratch, 'scenarios.json');
  const words = ['run', '--silent', 'scenarios', '--', '--json', `--outputFile=${json}`];
  const environment = { UNDERSTUDY_SCENARIOS: '1', UNDERSTUDY_SCENARIO_WORKERS: PAIRS_AT_ONCE };
  const status = await run('scenarios on a real pair', 'npm', words, {
    environment,
    limitMs: 90 * MINUTE_MS,
    cwd: app,
  });
  count('scenarios on a real pair', json, status);
}

async function jest(name, words, environment, limitMs) {
  const json = join(scratch, `${name.replace(/\W+/g, '-')}.json`);
  const all = [...JEST, ...words, '--passWithNoTests', '--json', `--outputFile=${json}`];
  count(name, json, await run(name, runnable(), all, { environment, limitMs }));
}

/** Adds up a Jest report; a run without a report, or that failed without a failed test, counts as one failure. */
function count(name, file, status) {
  const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  const failed = (report?.numFailedTests ?? 0) + (report?.numRuntimeErrorTestSuites ?? 0);
  totals.passed += report?.numPassedTests ?? 0;
  totals.failed += status !== 0 ? Math.max(failed, 1) : failed;
  if (status !== 0 || failed > 0) failures.push(`${name} (${Math.max(failed, 1)})`, ...failedTests(report));
  if (report?.numPendingTests) skip(`${report.numPendingTests} of the ${name}`);
}

/** What of a Jest report failed, and why: the output of a long run may be read by its end only. */
function failedTests(report) {
  const suites = report?.testResults ?? [];
  return suites.flatMap(({ name, status, message, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === 'failed');
    const file = relative(ROOT, name);
    if (tests.length === 0) return status === 'failed' ? [`  ${file}: ${reason(message)}`] : [];
    return tests.map(({ fullName, failureMessages }) => `  ${file}: ${fullName}: ${reason(failureMessages[0])}`);
  });
}

/** The text of a failure without its stack, in one line. */
function reason(text = '') {
  const [words = ''] = stripVTControlCharacters(text).split(/\n\s+at /);
  return words.trim().replace(/\s+/g, ' ').slice(0, 300);
}

async function check(name, command, words, limitMs) {
  const status = await run(name, command, words, { limitMs });
  if (status === 0) totals.passed += 1;
  else {
    totals.failed += 1;
    failures.push(name);
  }
}

async function nodeTests(folder, limitMs) {
  const files = readdirSync(join(ROOT, folder)).filter((file) => file.endsWith('.test.mjs'));
  for (const file of files) await check(`${folder}/${file}`, runnable(), ['--test', join(folder, file)], limitMs);
}

/** Runs one step with its output shown, in a process group of its own that ends with it. Resolves to the exit code. */
function run(name, command, words, { environment = {}, limitMs, cwd = ROOT }) {
  console.log(`\n=== ${name}`);
  return new Promise((resolve) => {
    const child = spawn(command, words, {
      cwd,
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: toolEnvironment(environment),
    });
    running = child;
    const deadline = setTimeout(() => {
      console.log(`${name}: not finished after ${limitMs / MINUTE_MS} minutes, stopped`);
      stopGroup(child, 'SIGKILL');
    }, limitMs);
    const done = (status) => {
      clearTimeout(deadline);
      running = undefined;
      resolve(status);
    };
    child.on('error', (error) => {
      console.log(`${name}: ${error.message}`);
      done(1);
    });
    child.on('exit', (code) => done(code ?? 1));
  });
}

function stopGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Gone already.
  }
}

function canMakeNetworks() {
  if (process.getuid?.() !== 0) return false;
  return spawnSync('unshare', ['--net', 'true'], { stdio: 'ignore', env: toolEnvironment() }).status === 0;
}

function skip(what) {
  skipped.push(what);
}

function bin(name) {
  return join(ROOT, 'node_modules/.bin', name);
}

function nx(...words) {
  return [join(ROOT, 'node_modules/.bin/nx'), ...words];
}
