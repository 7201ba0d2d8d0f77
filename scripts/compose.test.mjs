/** The compose files and the Dockerfile, as far as they can be judged without an engine; `npm run test:compose` runs them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from './bootstrap.mjs';

const text = (path) => readFileSync(join(ROOT, path), 'utf8');
const COMPOSE = 'docker-compose.yml';
const PAIR = 'infra/compose/pair.yml';
const { services, volumes } = parse(text(COMPOSE), { merge: true });
const pair = parse(text(PAIR), { merge: true, logLevel: 'error' });
/** Stages of the Dockerfile: name, what it is made from, its instructions. */
const stages = text('Dockerfile')
  .split(/^(?=FROM )/m)
  .slice(1)
  .map((stage) => ({ ...stage.match(/^FROM (?<from>\S+)(?: AS (?<name>\S+))?/).groups, lines: stage.split('\n') }));
const ours = Object.entries(services).filter(([, { build }]) => build !== undefined);
const SAMPLE = 'sample-app';

test('there is a container for each part of a server, of its own image, and each on both sites of a pair', async () => {
  const { PARTS } = await import(join(ROOT, 'apps/cli/dist/node-runner/index.js'));
  assert.deepEqual(ours.map(([name]) => name).sort(), ['site', SAMPLE, ...PARTS].sort());
  const targets = stages.map(({ name }) => name);
  for (const [name, { build, image }] of ours) {
    assert.equal(build.target, name);
    assert.equal(image, `understudy/${name}`);
    assert.ok(targets.includes(name), `the Dockerfile has no target ${name}`);
    const beta = pair.services[`beta-${name}`];
    assert.deepEqual(beta?.extends, { file: COMPOSE, service: name });
    const mounted = beta.volumes.map((volume) => volume.split(':')[0]).filter((source) => source.startsWith('beta-'));
    assert.deepEqual(mounted, name === SAMPLE ? ['beta-run'] : ['beta-data', 'beta-run']);
    assert.deepEqual(
      beta.depends_on,
      services[name].depends_on?.map((other) => `beta-${other}`),
    );
  }
});

test('each image runs its own part, and says whether it answers', () => {
  for (const [name] of ours) {
    const stage = stages.find((each) => each.name === name);
    const command = JSON.parse(stage.lines.find((line) => line.startsWith('CMD ')).slice(4));
    const others = { site: ['node', 'run', '--layout'], [SAMPLE]: ['agent', '--name', 'sample'] };
    assert.deepEqual(command.slice(0, 3), others[name] ?? ['node', 'part', name]);
    assert.match(allLines(stage).join('\n'), /^HEALTHCHECK .*CMD \["part-answers"\]$/m, name);
    assert.match(allLines(stage).join('\n'), /^ENTRYPOINT .*"understudy"\]$/m, name);
  }
});

test('no container has more rights or room than it needs', () => {
  const capabilities = { 'health-monitor': ['NET_ADMIN', 'NET_RAW'], 'readiness-checker': ['NET_RAW'] };
  for (const [name, service] of ours) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.ok(service.mem_limit && service.pids_limit && service.stop_grace_period && service.restart, name);
    assert.ok(service.logging.options['max-size'] && service.logging.options['max-file'], name);
    const isRoot = capabilities[name] !== undefined;
    assert.deepEqual(service.cap_add ?? [], isRoot ? [...capabilities[name], 'SETUID', 'SETGID', 'KILL'] : [], name);
    const lines = allLines(stages.find((each) => each.name === name));
    assert.equal(lines.includes('USER understudy'), !isRoot, name);
    assert.equal(
      lines.some((line) => line.includes('"with-network-rights"')),
      isRoot,
      name,
    );
  }
  for (const service of Object.values(services))
    for (const volume of service.volumes ?? [])
      if (/^[a-z-]+:/.test(volume)) assert.ok(volume.split(':')[0] in volumes, volume);
});

test('images are official ones of a version, without digests, and what the build copies is there', () => {
  const dockerfile = text('Dockerfile');
  assert.doesNotMatch(dockerfile, /@sha256|^# *syntax/m);
  const images = Object.fromEntries([...dockerfile.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)].map(([, ...pair]) => pair));
  for (const image of Object.values(images)) assert.match(image, /^[a-z]+:(\d|bookworm)[\w.-]*$/);
  for (const { from } of stages) {
    const isKnown = from === 'scratch' || from.slice(2, -1) in images || stages.some(({ name }) => name === from);
    assert.ok(isKnown, `FROM ${from}`);
  }
  for (const [, sources] of dockerfile.matchAll(/^COPY ([^-\n][^\n]*) \S+$/gm))
    for (const source of sources.split(' ')) assert.ok(existsSync(join(ROOT, source)), `COPY ${source}`);
  for (const file of [COMPOSE, PAIR]) assert.doesNotMatch(text(file), /@sha256/);
});

test('what is mounted from the checkout is there, and what stands beside the server is not started with it', () => {
  const mounts = [...Object.values(services), ...Object.values(pair.services)].flatMap(({ volumes: all = [] }) => all);
  const sources = mounts.flatMap((volume) => volume.match(/(?<=^|:-)\.\/[^:}]+/)?.[0] ?? []);
  assert.ok(sources.length > 0);
  for (const source of sources) assert.ok(existsSync(join(ROOT, source)), source);
  const beside = Object.entries(services).filter(([, { build }]) => build === undefined);
  assert.deepEqual(beside.map(([name]) => name).sort(), ['grafana', 'otel-collector', 'prometheus', 'tempo']);
  for (const [name, { profiles, image }] of beside) {
    assert.deepEqual(profiles, ['telemetry'], name);
    assert.match(image, /:v?\d+\.\d+\.\d+\}$/, name);
  }
});

test('.env.example has every variable of the compose files, with its default', () => {
  const example = Object.fromEntries([...text('.env.example').matchAll(/^(\w+)=(.*)$/gm)].map(([, ...pair]) => pair));
  const used = [COMPOSE, PAIR].flatMap((file) => [...text(file).matchAll(/\$\{(\w+):-([^}]*)\}/g)]);
  for (const [, name, value] of used) assert.equal(example[name], value, name);
  assert.deepEqual(Object.keys(example).sort(), [...new Set(used.map(([, name]) => name))].sort());
});

test('the scripts of the images are sound and may be run', () => {
  const folder = join(ROOT, 'infra/compose/image/usr/local');
  for (const file of ['bin', 'sbin'].flatMap((name) =>
    readdirSync(join(folder, name)).map((entry) => join(folder, name, entry)),
  )) {
    assert.ok(statSync(file).mode & 0o001, file);
    const { status, stderr } = spawnSync('sh', ['-n', file], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
});

test('docker compose accepts them', (context) => {
  if (spawnSync('docker', ['compose', 'version']).status !== 0)
    return context.skip('there is no `docker compose` here');
  for (const files of [[COMPOSE], [COMPOSE, PAIR]]) {
    const words = [
      'compose',
      '--env-file',
      '.env.example',
      ...files.flatMap((file) => ['-f', file]),
      'config',
      '--quiet',
    ];
    const { status, stderr } = spawnSync('docker', words, { cwd: ROOT, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
});

/** A stage's own lines after those of the stages that it is made from. */
function allLines({ from, lines }) {
  const base = stages.find(({ name }) => name === from);
  return [...(base === undefined ? [] : allLines(base)), ...lines];
}
