/**
 * From a bare checkout to something that runs: npm dependencies, packages of the distribution, build.
 * Does only what is missing; a second run installs nothing. Plain Node.js without dependencies.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureSystemPackages, Refusal } from './system-packages.mjs';

/** The checkout. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The Node.js that everything after the installation runs on. */
export const NODE = join(ROOT, 'node_modules/.bin/node');

/** Environment for what is run from the checkout: its own programs first, Nx without daemon and cloud. */
export function toolEnvironment(extra = {}) {
  return {
    ...process.env,
    PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH ?? '/usr/bin:/bin'}`,
    NX_DAEMON: 'false',
    NX_NO_CLOUD: 'true',
    ...extra,
  };
}

/** Installs and builds. `purpose`: 'demo' or 'tests', which need a little more. Throws a Refusal the reader can mend. */
export function bootstrap({ purpose = 'demo', build = true, log = console.log } = {}) {
  requireNode();
  installDependencies(log);
  ensureSystemPackages(purpose, log);
  if (build) buildAll(log);
}

/** Runs `main` and turns a Refusal into one clear message and exit code 2. */
export async function runOrExplain(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}

/** Whether what is installed is what the lock file asks for: every package that is not optional, in its version. */
export function isInstalled(root = ROOT) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  const present = readJson(join(root, 'node_modules/.package-lock.json'))?.packages;
  if (!wanted || !present) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || !path.startsWith('node_modules/') || path.includes('/node_modules/.')) return true;
    const found = present[path];
    if (!found) return Boolean(entry.optional || entry.devOptional || entry.peer || entry.extraneous);
    return found.version === entry.version && Boolean(found.link) === Boolean(entry.link);
  });
}

function requireNode() {
  const [major] = process.versions.node.split('.');
  // 18 is not promised, yet enough to install the Node.js that the rest runs on.
  if (Number(major) < 18) throw new Refusal(`Node.js 20 or newer is needed, this is ${process.versions.node}.`);
}

function installDependencies(log) {
  if (isInstalled() && existsSync(join(ROOT, 'node_modules/.bin/tsc'))) return;
  log('Installing npm dependencies ...');
  // With the npm that came with this Node.js; NODE_ENV=production would leave the compiler out.
  const done = spawnSync('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: 15 * 60_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.error) throw new Refusal(`npm could not be run: ${done.error.message}`);
  if (done.status !== 0) throw new Refusal(`npm ci failed:\n${firstLines(done.stderr || done.stdout, 15)}`);
}

function buildAll(log) {
  log('Building ...');
  const done = spawnSync(runnable(), [join(ROOT, 'node_modules/.bin/nx'), 'run-many', '-t', 'build'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: 10 * 60_000,
    maxBuffer: 64 * 1024 * 1024,
    env: toolEnvironment({ FORCE_COLOR: '0', NO_COLOR: '1' }),
  });
  if (done.status !== 0) throw new Refusal(`The build failed:\n${lastLines(`${done.stdout}${done.stderr}`, 60)}`);
}

/** The bundled Node.js, or the one that runs this where the platform has none bundled. */
export function runnable() {
  return existsSync(NODE) ? NODE : process.execPath;
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** npm says what is wrong first and how it is used after. */
function firstLines(text, count) {
  const lines = text.split('\n').filter((line) => !line.startsWith('npm warn'));
  return lines.slice(0, count).join('\n');
}

function lastLines(text, count) {
  return text.trim().split('\n').slice(-count).join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runOrExplain(() => bootstrap({ purpose: process.argv.includes('--tests') ? 'tests' : 'demo' }));
}
