/**
 * The programs of the distribution that Understudy runs, and how they get onto a Debian or Ubuntu machine.
 * Plain Node.js without dependencies: it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A reason to stop that the reader can mend: printed as it is, exit code 2. */
export class Refusal extends Error {}

const SEARCH = [
  ...(process.env.PATH ?? '').split(':'),
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

/** What must be on the machine. `for`: the demo needs the servers only, the tests build networks too. */
export const NEEDS = [
  { package: 'postgresql', for: 'demo', isPresent: hasPostgresql },
  { package: 'nats-server', for: 'demo', isPresent: () => onPath('nats-server'), unit: 'nats-server.service' },
  { package: 'redis-server', for: 'demo', isPresent: () => onPath('redis-server'), unit: 'redis-server.service' },
  { package: 'iproute2', for: 'tests', isPresent: () => onPath('ip') },
  { package: 'procps', for: 'tests', isPresent: () => onPath('ps') },
  { package: 'rsync', for: 'tests', isPresent: () => onPath('rsync') },
  { package: 'acl', for: 'tests', isPresent: () => onPath('setfacl') },
  { package: 'attr', for: 'tests', isPresent: () => onPath('setfattr') },
  {
    package: 'haproxy',
    for: 'tests',
    isPresent: () => onPath('haproxy'),
    unit: 'haproxy.service',
  },
  // the application of docs/recipes/powerdns.md
  { package: 'pdns-server', for: 'tests', isPresent: () => onPath('pdns_server'), unit: 'pdns.service' },
  {
    package: 'pdns-backend-pgsql',
    for: 'tests',
    isPresent: () => existsSync('/usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql'),
  },
  {
    package: 'prometheus',
    for: 'tests',
    isPresent: () => onPath('prometheus') && onPath('promtool'),
    unit: 'prometheus.service',
  },
  { package: 'nftables', for: 'tests', isPresent: () => onPath('nft'), unit: 'nftables.service' },
  { package: 'iptables', for: 'tests', isPresent: () => onPath('iptables') },
  { package: 'iputils-ping', for: 'tests', isPresent: () => onPath('ping') },
  { package: 'util-linux', for: 'tests', isPresent: () => onPath('unshare') && onPath('setpriv') },
];

/** Names of the packages that are missing, in the order of NEEDS. `purpose`: 'demo' or 'tests'. */
export function missingPackages(purpose, needs = NEEDS) {
  return needs
    .filter((need) => (need.for === 'demo' || purpose === 'tests') && !need.isPresent())
    .map((n) => n.package);
}

/** Installs what is missing; a Refusal names the packages where that is not possible. Returns what it installed. */
export function ensureSystemPackages(purpose, log) {
  const missing = missingPackages(purpose);
  if (missing.length === 0) return [];
  const byHand = `Missing on this machine: ${missing.join(', ')}.`;
  if (!onPath('apt-get')) {
    throw new Refusal(`${byHand} Install them with this system's package manager, then run this again.`);
  }
  const asRoot = rootPrefix();
  if (asRoot === undefined) {
    throw new Refusal(
      `${byHand} Installing needs root: run "sudo apt-get install ${missing.join(' ')}" once, then run this again.`,
    );
  }
  log(`Installing ${missing.join(', ')} ...`);
  install(missing, asRoot, log);
  const still = missingPackages(purpose);
  if (still.length > 0) throw new Refusal(`Still missing after the installation: ${still.join(', ')}.`);
  return missing;
}

/** Newest directory with a whole PostgreSQL (server and its tools), as text, or undefined. */
export function postgresqlDirectory() {
  const candidates = [];
  for (const [base, pattern] of [
    ['/usr/lib/postgresql', /^\d+$/],
    ['/usr', /^pgsql-\d+$/],
  ]) {
    for (const name of list(base).filter((entry) => pattern.test(entry))) {
      candidates.push({ version: Number(name.replace(/\D/g, '')), directory: join(base, name, 'bin') });
    }
  }
  candidates.sort((a, b) => b.version - a.version);
  const whole = (directory) =>
    ['postgres', 'initdb', 'pg_basebackup', 'pg_rewind'].every((p) => runs(join(directory, p)));
  return [...candidates.map((c) => c.directory), ...SEARCH.filter(Boolean)].find(whole);
}

function hasPostgresql() {
  return postgresqlDirectory() !== undefined;
}

function install(packages, asRoot, log) {
  const guards = [];
  const undo = () => {
    for (const restore of guards.splice(0).reverse()) restore();
  };
  const onSignal = () => {
    undo();
    process.exit(130);
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    guards.push(keepServicesFromStarting(asRoot));
    apt(asRoot, ['update', '-qq'], { mayFail: true });
    if (packages.includes('postgresql')) {
      // Its own cluster on 5432 would be nobody's: PostgreSQL is run by Understudy from a directory of its own.
      apt(asRoot, ['install', 'postgresql-common']);
      guards.push(keepClusterFromBeingMade(asRoot));
    }
    apt(asRoot, ['install', ...packages]);
    for (const need of NEEDS.filter((n) => n.unit && packages.includes(n.package))) {
      if (!onPath('systemctl')) continue;
      const done = run(asRoot, ['systemctl', 'disable', '--now', need.unit], { quiet: true });
      if (done.status === 0) log(`Left switched off: ${need.unit} (installed just now, run by Understudy itself)`);
    }
  } finally {
    undo();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** Packages must not start their services: by a policy, unless the machine has one already. Returns the way back. */
function keepServicesFromStarting(asRoot) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return () => {};
  writeAsRoot(asRoot, policy, '#!/bin/sh\n# Temporary, made while Understudy installs packages.\nexit 101\n', '755');
  return () => run(asRoot, ['rm', '-f', policy], { quiet: true });
}

function keepClusterFromBeingMade(asRoot) {
  const file = '/etc/postgresql-common/createcluster.conf';
  if (!existsSync(file)) return () => {};
  const before = readFileSync(file, 'utf8');
  writeAsRoot(asRoot, file, `${before}\ncreate_main_cluster = false\n`, '644');
  return () => writeAsRoot(asRoot, file, before, '644');
}

function writeAsRoot(asRoot, file, text, mode) {
  if (asRoot.length === 0) {
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: Number.parseInt(mode, 8) });
    return;
  }
  run(asRoot, ['tee', file], { input: text, quiet: true });
  run(asRoot, ['chmod', mode, file], { quiet: true });
}

function apt(asRoot, [verb, ...rest], { mayFail = false } = {}) {
  const options = ['-y', '-q', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Options::=--force-confold'];
  const all = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', verb, ...options];
  if (verb === 'install') all.push('--no-install-recommends');
  const done = run(asRoot, [...all, ...rest], { quiet: true });
  if (done.status !== 0 && !mayFail) {
    const said = `${done.stdout ?? ''}${done.stderr ?? ''}`.trim().split('\n').slice(-8).join('\n');
    throw new Refusal(`apt-get ${verb} ${rest.join(' ')} failed:\n${said}`);
  }
}

/** Words before a command that make it run as root: none for root itself, undefined when there is no way. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (!onPath('sudo')) return undefined;
  return run([], ['sudo', '-n', 'true'], { quiet: true }).status === 0 ? ['sudo', '-n'] : undefined;
}

function run(prefix, words, { input, quiet = false } = {}) {
  const [command, ...args] = [...prefix, ...words];
  return spawnSync(command, args, {
    input,
    encoding: 'utf8',
    stdio: [input === undefined ? 'ignore' : 'pipe', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    timeout: 20 * 60_000,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: SEARCH.join(':') },
  });
}

/** Whether a program is found in PATH or in the directories of system programs, which a user's PATH may lack. */
export function onPath(program) {
  return SEARCH.some((directory) => directory !== '' && runs(join(directory, program)));
}

function runs(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function list(directory) {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
