/**
 * `npm run test:compose`: the pair of docker-compose.yml and infra/compose/pair.yml for real, wherever there is a Docker engine.
 * Registration, each container killed in turn, takeover after the kill of a whole site, rejoin, failback, `down` and `up`: orders and
 * states through REST. Ends with exit code 0 only when all of it is as it should be; `--report FILE` writes what was measured.
 * Its containers, volumes and addresses are its own, and are removed at the end (`--keep` leaves them).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { ROOT } from './bootstrap.mjs';
import { Site } from './compose-site.mjs';

const KEY = 'Curtain-734-Spotlight-552913';
const PORTS = {
  HEALTH_MONITOR: 28082,
  FILE_SYNC: 28083,
  PAIR_LINK: 27422,
  DATABASE: 25432,
  BUS: 24222,
  STORE: 26379,
  SAMPLE: 28080,
};
const FILES = ['-f', 'docker-compose.yml', '-f', 'infra/compose/pair.yml'];
const AT_REST = ['Primary Active', 'Secondary Syncing'];

const { values: options } = parseArgs({ options: { report: { type: 'string' }, keep: { type: 'boolean' } } });
const scratch = mkdtempSync(join(tmpdir(), 'understudy-compose-'));
const measured = [];
/** Of the present step, in milliseconds of `performance.now()`. */
let deadline = 0;

const environment = {
  ...process.env,
  COMPOSE_PROJECT_NAME: 'understudy-test',
  UNDERSTUDY_ADDRESS: '127.0.3.1',
  UNDERSTUDY_PEER_ADDRESS: '127.0.3.2',
  UNDERSTUDY_AUTHENTICATION_KEY_FILE: join(scratch, 'authentication.key'),
  UNDERSTUDY_TRIAL_CONFIGURATION: join(scratch, 'node.yaml'),
  ...Object.fromEntries(Object.entries(PORTS).map(([name, port]) => [`UNDERSTUDY_PORT_${name}`, String(port)])),
};
// Short times, so that a takeover is waited for only seconds.
const configuration = {
  ...parse(readFileSync(join(ROOT, 'infra/compose/trial.yaml'), 'utf8')),
  heartbeat: { intervalSeconds: 1, missedLimit: 3, graceSeconds: 4, probeTimeoutSeconds: 2 },
  failover: { minimumSecondsBetween: 0 },
};

if (compose(['version'], { mayFail: true }) === null || docker(['info'], { mayFail: true }) === null) {
  console.error(
    'This needs a Docker engine and `docker compose`; DOCKER_HOST names one that is elsewhere on this machine.',
  );
  process.exit(2);
}
writeFileSync(environment.UNDERSTUDY_AUTHENTICATION_KEY_FILE, `${KEY}\n`, { mode: 0o644 });
writeFileSync(environment.UNDERSTUDY_TRIAL_CONFIGURATION, JSON.stringify(configuration), { mode: 0o644 });

const alpha = new Site({
  name: 'alpha',
  address: environment.UNDERSTUDY_ADDRESS,
  port: PORTS.HEALTH_MONITOR,
  key: KEY,
});
const beta = new Site({
  name: 'beta',
  address: environment.UNDERSTUDY_PEER_ADDRESS,
  port: PORTS.HEALTH_MONITOR,
  key: KEY,
});

try {
  compose(['down', '--volumes', '--timeout', '1']);
  await step('build the images', 1200, () => compose(['build', '--quiet']));
  const services = compose(['config', '--services']).trim().split('\n').sort();
  const ofAlpha = services.filter((service) => !service.startsWith('beta-'));
  await step('start both sites until every container is healthy', 300, () => up(services));
  await step('register through REST', 120, async () => {
    const order = {
      secondaryAddress: beta.address,
      authenticationKey: KEY,
      emailAddresses: [],
      failoverType: 'manual',
    };
    await alpha.perform('PUT', '/ha/configuration', order);
    await states(AT_REST);
  });
  sql('db-replication', 'create table kept (what text)');
  write('db-replication', 'before anything was killed');
  for (const service of services)
    await step(`kill ${service}: it is back, and the pair is at rest`, 180, async () => {
      const id = containerOf(service);
      const before = restartsOf(id);
      docker(['exec', id, 'sh', '-c', 'kill -KILL $(cat /proc/1/task/1/children)'], { mayFail: true });
      await until(`${service} is restarted`, () => restartsOf(id) > before);
      await healthy(services);
      await states(AT_REST);
    });
  await step('from now on failover is automatic, ordered through REST', 60, async () => {
    await alpha.change('/ha/configuration', { failoverType: 'automatic' });
    await until('beta is armed', async () => (await beta.status()).automaticFailover.armed);
  });
  write('db-replication', 'before the whole site was killed');
  await step('docker kill of the whole site alpha: beta takes over by itself', 90, async () => {
    await until('the last record has arrived', () => rows('beta-db-replication') === rows('db-replication'));
    compose(['kill', ...ofAlpha]);
    await until('beta is active', async () => (await beta.state()) === 'Secondary Active');
    await served(['', 'Secondary Active']);
    expect(rows('beta-db-replication'), 'before anything was killed|before the whole site was killed');
  });
  write('beta-db-replication', 'while beta was active');
  await step('start alpha again: it follows beta', 120, async () => {
    compose(['start', ...ofAlpha]);
    await states(['Primary Syncing', 'Secondary Active']);
  });
  await step('fail back through REST', 120, async () => {
    await beta.perform('POST', '/ha/failback', {});
    await states(AT_REST);
  });
  const all = 'before anything was killed|before the whole site was killed|while beta was active';
  expect(rows('db-replication'), all);
  await step('docker compose down', 400, () => compose(['down']));
  await step('docker compose up: the pair is as it was', 300, async () => {
    await up(services);
    await until('one serves and the other follows', async () =>
      (await pair()).some((state) => state.endsWith('Active')),
    );
    if ((await beta.state()) === 'Secondary Active') {
      await states(['Primary Syncing', 'Secondary Active']);
      await beta.perform('POST', '/ha/failback', {});
    }
    await states(AT_REST);
  });
  expect(rows('db-replication'), all);
  await until('the standby has all of it too', () => rows('beta-db-replication') === all);
  expect((await alpha.get('/ha/configuration')).failoverType, 'automatic');
  console.log(`${measured.length} steps, all as they should be`);
  if (options.report !== undefined) writeFileSync(options.report, report());
} catch (error) {
  console.error(`FAILED: ${error.message}`);
  process.exitCode = 1;
  console.error(compose(['ps', '--all'], { mayFail: true }));
  console.error(compose(['logs', '--no-color', '--tail', '8'], { mayFail: true }));
} finally {
  if (!options.keep) compose(['down', '--volumes', '--timeout', '1'], { mayFail: true });
  rmSync(scratch, { recursive: true, force: true });
}

async function up(services) {
  compose(['up', '--detach']);
  await healthy(services);
}

/** Does one thing and says how long it took; what takes longer than its limit in seconds has failed. */
async function step(what, limitSeconds, work) {
  process.stdout.write(`${what} ... `);
  const began = performance.now();
  deadline = began + limitSeconds * 1000;
  await work();
  if (performance.now() > deadline) throw new Error(`it took longer than ${limitSeconds} s`);
  const seconds = (performance.now() - began) / 1000;
  console.log(`${seconds.toFixed(1)} s`);
  measured.push({ what, seconds });
}

/** Waits for a condition as long as the step may take; one that cannot be told yet does not hold yet. */
async function until(what, condition) {
  for (let reason = ''; ; await delay(500)) {
    try {
      if (await condition()) return;
    } catch (error) {
      reason = `: ${error.message}`;
    }
    if (performance.now() > deadline) throw new Error(`not in time: ${what}${reason}`);
  }
}

async function states(wanted) {
  await until(`the states are ${wanted.join(' / ')}`, async () => (await pair()).join() === wanted.join());
  const [active] = [alpha, beta].filter((_, index) => wanted[index].endsWith('Active'));
  await until(`${active.name} is protected`, async () => (await active.status()).database.protected === true);
  await served(wanted);
}

/** The sample application of the active site does its work there, and only there. */
async function served(wanted) {
  const sites = [alpha, beta];
  const active = sites.findIndex((_, index) => wanted[index].endsWith('Active'));
  await until(`the application is served by ${sites[active].name} alone`, async () => {
    const answers = await Promise.all(sites.map(sampleAt));
    return answers[active]?.server === sites[active].name && answers[1 - active] === null;
  });
}

/** What it says of itself; null when nobody answers. */
async function sampleAt({ address }) {
  const signal = AbortSignal.timeout(3000);
  return fetch(`http://${address}:${PORTS.SAMPLE}/rows`, { signal }).then(
    (answer) => answer.json(),
    () => null,
  );
}

async function pair() {
  return [await alpha.state(), await beta.state()];
}

/** What was measured, as a page of the docs. */
function report() {
  const lines = measured.map(({ what, seconds }) => `| ${what} | ${seconds.toFixed(1)} |`);
  const versions = docker(['version', '--format', '{{.Server.Version}}']).trim();
  return [
    '# The pair in containers: the last full run',
    '',
    `\`npm run test:compose -- --report docs/compose-report.md\` on ${new Date().toISOString().slice(0, 10)}, with Docker ${versions} and`,
    `Compose ${compose(['version', '--short']).trim()}; ${availableParallelism()} processors for both sites, load average ${loadavg()[2].toFixed()}. A beat every second, three may be missed, 4 s of grace.`,
    'What was written before the kills, before the takeover and while beta was active was there after the takeover, the failback, and `down`',
    'and `up`; the sample application, in a container of its own, was served by whoever was active. What is done, and within which limits:',
    'scripts/compose-test.mjs.',
    '',
    '| step | seconds |',
    '| --- | --- |',
    ...lines,
    '',
  ].join('\n');
}

function rows(service) {
  return sql(service, "select string_agg(what, '|' order by what) from kept").trim();
}

function write(service, what) {
  sql(service, `insert into kept values ('${what}')`);
}

function sql(service, statement) {
  const psql = ['psql', '-XAtq', '-h', '/var/lib/understudy/run', '-p', String(PORTS.DATABASE), '-U', 'postgres'];
  return compose(['exec', '-T', service, ...psql, '-v', 'ON_ERROR_STOP=1', '-c', statement]);
}

function containerOf(service) {
  return compose(['ps', '--all', '--quiet', service]).trim();
}

function restartsOf(id) {
  return Number(docker(['inspect', '--format', '{{.RestartCount}}', id]));
}

/** Waits until every container is healthy. */
async function healthy(services) {
  const words = ['ps', '--filter', `label=com.docker.compose.project=${environment.COMPOSE_PROJECT_NAME}`];
  const format = ['--filter', 'health=healthy', '--format', '{{.Label "com.docker.compose.service"}}'];
  await until('every container is healthy', () => {
    const well = docker([...words, ...format]).split('\n');
    return services.every((service) => well.includes(service));
  });
}

function expect(actual, wanted) {
  if (actual !== wanted) throw new Error(`expected ${wanted}, found ${actual}`);
}

function compose(words, how) {
  return docker(['compose', ...FILES, ...words], how);
}

/** The standard output of a command of Docker; null when it fails and may. */
function docker(words, { mayFail = false } = {}) {
  const { status, stdout, stderr, error } = spawnSync('docker', words, {
    cwd: ROOT,
    env: environment,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  if (mayFail) return null;
  throw new Error(`docker ${words.join(' ')}: ${error?.message ?? stderr.trim().split('\n').slice(-5).join(' | ')}`);
}
