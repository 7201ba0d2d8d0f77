import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ReadinessCheck, ReadinessReport } from '@understudy/contracts';
import { until } from '../real-pair/deadline.ts';
import { ip, namespacesAreAvailable } from '../real-pair/namespaces.ts';
import { AUTHENTICATION_KEY } from '../real-pair/node-configuration.ts';
import { RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';

const KEEPS_FILES = process.env.UNDERSTUDY_E2E_KEEP === '1';
const RUN = { withinMs: 35_000 };
const PATH = '/ha/readiness-checks';
const describeOnStage = namespacesAreAvailable() ? describe : describe.skip;

// Spec: "Check Readiness for HA Configuration".
describeOnStage('readiness checks before registration (needs root, ip and network namespaces)', () => {
  let pair: RealPair;
  const candidate = () => ({ secondaryAddress: pair.secondary.host.address, authenticationKey: AUTHENTICATION_KEY });

  beforeAll(async () => {
    pair = new RealPair({ layout: 'composed', heartbeat: TEST_TIMES });
    for (const server of pair.servers) server.boot();
    for (const server of pair.servers) await server.canBePaired({ withinMs: 90_000 });
  }, 180_000);
  afterAll(() => pair?.destroy({ keepFiles: KEEPS_FILES }));

  async function check(more: object = {}) {
    await pair.primary.perform(PATH, { ...candidate(), ...more }, RUN);
    const { json } = await pair.primary.rest('GET', `${PATH}/latest`);
    const report = json as ReadinessReport;
    expect(report.durationMs).toBeLessThan(30_000);
    const line = (name: string) => report.checks.find((entry) => entry.name === name) as ReadinessCheck;
    return { report, line };
  }
  async function failure(body: object) {
    const started = await pair.primary.ask('POST', PATH, body);
    if (!started.accepted) throw new Error(started.detail);
    return (await pair.primary.ended(started.operationId, RUN)).error;
  }
  /** What each server knows of itself and of others; the verifier of its own key it makes when that is first asked for. */
  const traces = () =>
    pair.servers.map(({ dataDirectory }) => {
      const others = ['-type', 'f', '-not', '-name', 'authentication-key.json', '-printf', '%P %C@\n'];
      return execFileSync('find', [join(dataDirectory, 'identity'), ...others], { encoding: 'utf8' })
        .split('\n')
        .sort();
    });

  it('measure both servers at the same time, with what both see of each other, and leave no trace', async () => {
    const before = traces();
    const { line } = await check();
    for (const name of [
      'SYSTEM - HEALTH MONITOR STATUS',
      'SYSTEM - CHECK OS COMPATIBILITY',
      'SYSTEM - RELEASE OF UNDERSTUDY',
      'NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY',
      'NETWORK - PORTS OF THE PAIR',
      'SYSTEM - CHECK SERVER PING REACHABILITY',
      'NETWORK - LATENCY',
      'NETWORK - LARGE PACKETS',
      'DATABASE - CHECK ONLINE STATUS',
      'DATABASE - LISTENER STATUS',
      'DATABASE - CHECK CONNECTION CONFIG CORRUPTION',
      'DATABASE - CONNECTION REACHABILITY STATUS',
      'DATABASE - VERSION',
    ])
      expect(line(name)).toMatchObject({ name, status: 'passed', reason: '' });
    expect(line('DATABASE - LISTENER STATUS').secondary).toBe('10.77.0.12:5432 is free for PostgreSQL');
    expect(line('DATABASE - SYNC STATUS')).toMatchObject({ status: 'not-checked' });
    expect(line('NETWORK - THROUGHPUT').secondary).toMatch(/^\d.* Mbps from the other server$/);
    expect(traces()).toEqual(before);
    for (const server of pair.servers) expect((await server.status())?.state).toBe('HA Not Configured');
    // nothing listens where it listened for the visit of the other server
    expect(execFileSync('ip', ['netns', 'exec', pair.stage.n2.namespace, 'ss', '-Hltn', 'sport = :5432']).length).toBe(
      0,
    );
  }, 90_000);

  it('see a firewall in front of the database port of a server that has no database yet', async () => {
    const rule = ['ipproto', 'tcp', 'sport', '5432', 'blackhole'];
    ip(['-n', pair.stage.n2.namespace, 'rule', 'add', ...rule]);
    try {
      const { line } = await check();
      const firewall = line('NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY');
      expect(firewall).toMatchObject({ status: 'failed', secondary: '10.77.0.11:5432 answers' });
      expect(firewall.reason).toMatch(/^primary: 10\.77\.0\.12:5432 gives no sign: a firewall/);
    } finally {
      ip(['-n', pair.stage.n2.namespace, 'rule', 'delete', ...rule]);
    }
  }, 90_000);

  it('open what is closed with --fix, for the primary only, and say what takes it back', async () => {
    const onSecondary = (...words: string[]) => ip(['netns', 'exec', pair.stage.n2.namespace, ...words]);
    const nft = (...words: string[]) => onSecondary('nft', ...words);
    nft('add', 'table', 'inet', 'filter');
    nft('add', 'chain', 'inet', 'filter', 'input', '{ type filter hook input priority 0; policy drop; }');
    nft('add', 'rule', 'inet', 'filter', 'input', 'ct', 'state', 'established,related', 'accept');
    nft('add', 'rule', 'inet', 'filter', 'input', 'iif', 'lo', 'accept');
    nft('add', 'rule', 'inet', 'filter', 'input', 'tcp', 'dport', '8082', 'accept');
    const untouched = nft('list', 'ruleset');
    try {
      const before = await check();
      expect(before.line('NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY').status).toBe('failed');
      expect(before.line('NETWORK - PORTS OF THE PAIR').reason).toMatch(
        /^primary: database: 10\.77\.0\.12:5432 gives no/,
      );
      expect(before.line('SYSTEM - CHECK SERVER PING REACHABILITY').reason).toMatch(/^primary: .*answers no ping/);
      expect(before.report.firewall).toBeUndefined();
      expect(nft('list', 'ruleset')).toBe(untouched);

      const { report, line } = await check({ fix: true });
      expect(line('NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY').status).toBe('passed');
      expect(line('NETWORK - PORTS OF THE PAIR').status).toBe('passed');
      expect(report.firewall).toMatchObject([{ server: 'secondary', added: [expect.anything()], problem: null }]);
      expect(nft('list', 'ruleset')).toMatch(/ip saddr 10\.77\.0\.11 tcp dport 5432 accept/);

      expect((await check({ fix: true })).report.firewall).toEqual([]);
      const undo = String(report.firewall?.[0]?.added[0]?.undo).split(' ');
      onSecondary(...undo);
      expect(nft('list', 'ruleset')).toBe(untouched);
    } finally {
      nft('flush', 'ruleset');
    }
  }, 120_000);

  it('see a way that swallows large packets, though every connection opens', async () => {
    const { stage } = pair;
    for (const { namespace } of [stage.n1, stage.n2]) ip(['-n', namespace, 'link', 'set', 'eth0', 'gso_max_segs', '1']);
    ip(['-n', stage.switchNamespace, 'link', 'set', 'p1', 'mtu', '700']);
    try {
      const { line } = await check();
      expect(line('SYSTEM - HEALTH MONITOR STATUS').reason).toMatch(/^secondary: .* though connections open: .* MTU/);
    } finally {
      ip(['-n', stage.switchNamespace, 'link', 'set', 'p1', 'mtu', '1500']);
    }
  }, 90_000);

  it('tell that the secondary is not there, and check the primary', async () => {
    ip(['-n', pair.stage.n2.namespace, 'link', 'set', 'eth0', 'down']);
    try {
      const { line } = await check();
      expect(line('SYSTEM - HEALTH MONITOR STATUS')).toMatchObject({ status: 'failed', primary: 'ready' });
      expect(line('SYSTEM - TIME ZONE').status).toBe('not-checked');
    } finally {
      ip(['-n', pair.stage.n2.namespace, 'link', 'set', 'eth0', 'up']);
    }
  }, 90_000);

  it('want the right key, and make wrong ones wait, as a registration does', async () => {
    const wrong = { ...candidate(), authenticationKey: 'Wrong-Horse-1-Battery' };
    for (let count = 0; count < 11; count++) expect(await failure(wrong)).toMatch(/is not the one of beta/);
    const refusal = await failure(candidate());
    expect(refusal).toMatch(/^too many wrong authentication keys: try again in \d+ s$/);
    await sleep(Number(/\d+/.exec(String(refusal))?.[0]) * 1000);
  }, 180_000);

  it('keep nobody from registering while they run, and are refused with an address afterwards', async () => {
    const started = await pair.primary.ask('POST', PATH, candidate());
    await pair.primary.perform('/ha/configuration', pair.registration('manual'), { method: 'PUT', withinMs: 90_000 });
    if (!started.accepted) throw new Error(started.detail);
    await pair.primary.ended(started.operationId, RUN);
    await pair.inSync({ withinMs: 60_000 });
    expect(await failure(candidate())).toMatch(/^alpha is paired with beta already/);
  }, 240_000);

  it('take the database that an earlier pair has left on the secondary for one that waits, not for one that fails', async () => {
    await pair.primary.perform('/ha/configuration', {}, { method: 'DELETE', withinMs: 60_000 });
    // the bus of a server that is no pair any more starts anew
    const { report, line } = await until('both servers answer each other again', { withinMs: 60_000 }, async () => {
      const checked = await check();
      return checked.line('SYSTEM - HEALTH MONITOR STATUS').status === 'passed' && checked;
    });
    expect(report.checks.filter(({ name, status }) => name.startsWith('DATABASE') && status === 'failed')).toEqual([]);
    expect(line('NETWORK - PORTS OF THE PAIR')).toMatchObject({ status: 'passed', reason: '' });
    expect(line('DATABASE - CHECK ONLINE STATUS').secondary).toBe('stopped, does not answer');
    expect(line('DATABASE - LISTENER STATUS').secondary).toBe('10.77.0.12:5432 is free for PostgreSQL');
    expect(line('DATABASE - ROOM FOR A FULL COPY').status).toBe('passed');
  }, 180_000);
});
