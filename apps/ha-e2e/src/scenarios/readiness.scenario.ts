import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ReadinessCheck, ReadinessReport } from '@understudy/contracts';
import { ip, namespacesAreAvailable, tc } from '../real-pair/namespaces.ts';
import { RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';

const KEEPS_FILES = process.env.UNDERSTUDY_E2E_KEEP === '1';
const RUN = { withinMs: 35_000 };
const describeOnStage = namespacesAreAvailable() ? describe : describe.skip;

// Spec: "Check Readiness for HA Configuration", "Use the Health Monitor Web Page".
describeOnStage('readiness checks (needs root, ip and network namespaces)', () => {
  let pair: RealPair;

  /** Real machines of a kind: the secondary has another release of the operating system. */
  beforeAll(async () => {
    pair = new RealPair({ layout: 'composed', heartbeat: TEST_TIMES });
    pair.primary.boot();
    const other = join(pair.stage.n2.directory, 'etc', 'os-release');
    writeFileSync(other, readFileSync('/etc/os-release', 'utf8').replace(/^PRETTY_NAME=.*$/m, 'PRETTY_NAME="Other 1"'));
    pair.secondary.boot({ binds: { '/etc/os-release': other } });
    for (const server of pair.servers) await server.canBePaired({ withinMs: 90_000 });
  }, 180_000);
  afterAll(() => pair?.destroy({ keepFiles: KEEPS_FILES }));

  async function check(server: UnderstudyServer, body: unknown = {}) {
    await server.perform('/ha/readiness-checks', body, RUN);
    const { json } = await server.rest('GET', '/ha/readiness-checks/latest');
    const report = json as ReadinessReport;
    expect(report.durationMs).toBeLessThan(30_000);
    const line = (name: string) => report.checks.find((entry) => entry.name === name) as ReadinessCheck;
    return { report, line };
  }

  it('before registration, without an address, look at one server and say so of the other', async () => {
    const { report, line } = await check(pair.primary);
    const online = line('DATABASE - CHECK ONLINE STATUS');
    expect(online).toMatchObject({ status: 'not-checked', primary: 'read-write, answers', secondary: null });
    expect(online.reason).toContain('HA is not configured');
    expect(report.comparedWith).toBeNull();
  }, 60_000);

  it('look at both servers of a pair, and show what has changed since', async () => {
    await pair.primary.perform('/ha/configuration', pair.registration('manual'), { method: 'PUT', withinMs: 90_000 });
    await pair.inSync({ withinMs: 60_000 });
    const { report, line } = await check(pair.primary);
    expect(report.comparedWith).not.toBeNull();
    expect(line('DATABASE - CHECK ONLINE STATUS')).toMatchObject({
      status: 'passed',
      secondary: 'standby, answers',
      previous: { status: 'not-checked', secondary: null },
    });
    expect(line('DATABASE - SYNC STATUS').status).toBe('passed');
    expect(line('SYSTEM - HEALTH MONITOR STATUS').status).toBe('passed');
    expect(line('NETWORK - CHECK NETWORK INTERFACE BANDWIDTH').secondary).toMatch(/^eth0 /);
    expect(line('SYSTEM - CHECK OS COMPATIBILITY')).toMatchObject({
      status: 'failed',
      secondary: expect.stringContaining('Other 1'),
    });
    expect(Math.abs(Date.parse(String(line('SYSTEM - CLOCK DIFFERENCE').primary)) - Date.now())).toBeLessThan(60_000);
  }, 240_000);

  it('log in at each other’s database, and find every file of it intact', async () => {
    const { report, line } = await check(pair.primary);
    const lists = report.checks.map(({ lists }) => lists);
    expect(lists.filter((names) => names.includes('registration'))).toHaveLength(15);
    expect(lists.filter((names) => names.includes('failover'))).toHaveLength(3);
    for (const name of [
      'NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY',
      'NETWORK - LATENCY',
      'NETWORK - LARGE PACKETS',
      'NETWORK - NAME RESOLUTION',
      'DATABASE - LISTENER STATUS',
      'DATABASE - CHECK LISTENER CONFIG CORRUPTION',
      'DATABASE - CHECK CONNECTION CONFIG CORRUPTION',
      'DATABASE - CONNECTION REACHABILITY STATUS',
      'DATABASE - LOCALE AND COLLATION',
      'DATABASE - ROOM FOR A FULL COPY',
    ])
      expect(line(name)).toMatchObject({ name, status: 'passed', reason: '' });
    expect(line('NETWORK - THROUGHPUT').secondary).toMatch(/^\d.* Mbps from the other server$/);
  }, 90_000);

  it('see a way between the servers that is slow', async () => {
    const device = ['dev', 'eth0', 'root'];
    const slow = ['tbf', 'rate', '50mbit', 'burst', '64kb', 'latency', '50ms'];
    tc(['-n', pair.stage.n2.namespace, 'qdisc', 'add', ...device, ...slow]);
    try {
      const { line } = await check(pair.primary);
      expect(line('NETWORK - THROUGHPUT').reason).toMatch(/primary: [1-5]?\d(\.\d)? Mbps, 500 are recommended/);
    } finally {
      tc(['-n', pair.stage.n2.namespace, 'qdisc', 'delete', ...device]);
    }
  }, 90_000);

  it('see a firewall that drops what belongs to the database of one server', async () => {
    const rule = ['ipproto', 'tcp', 'sport', '5432', 'blackhole'];
    ip(['-n', pair.stage.n2.namespace, 'rule', 'add', ...rule]);
    try {
      const { line } = await check(pair.primary);
      const firewall = line('NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY');
      expect(firewall).toMatchObject({ status: 'failed', secondary: '10.77.0.11:5432 answers' });
      expect(firewall.reason).toMatch(/^primary: 10\.77\.0\.12:5432 gives no sign: a firewall/);
      expect(line('DATABASE - CONNECTION REACHABILITY STATUS').status).toBe('failed');
    } finally {
      ip(['-n', pair.stage.n2.namespace, 'rule', 'delete', ...rule]);
    }
  }, 90_000);

  it('open a port of the other server that its firewall rejects, with --fix on the command line', async () => {
    const nft = (...words: string[]) => ip(['netns', 'exec', pair.stage.n1.namespace, 'nft', ...words]);
    nft('add', 'table', 'inet', 'filter');
    nft('add', 'chain', 'inet', 'filter', 'input', '{ type filter hook input priority 0; policy accept; }');
    nft('add', 'rule', 'inet', 'filter', 'input', 'tcp', 'dport', '5432', 'ct', 'state', 'new', 'reject');
    try {
      expect((await check(pair.secondary)).line('NETWORK - PORTS OF THE PAIR').status).toBe('failed');
      const { code, output } = await pair.secondary.commandLine(['ha', 'check-readiness', '--fix'], 60_000);
      expect([code, output]).toEqual([
        0,
        expect.stringMatching(/\[Firewall\] Added on the primary: nft insert rule inet/),
      ]);
      expect(output).toMatch(/take it away with: nft delete rule inet filter input handle \d+/);
      expect(nft('list', 'ruleset')).toMatch(/ip saddr 10\.77\.0\.12 tcp dport 5432 accept/);
      expect((await check(pair.secondary)).line('NETWORK - PORTS OF THE PAIR').status).toBe('passed');
    } finally {
      nft('flush', 'ruleset');
    }
  }, 120_000);

  it('see a way that swallows large packets, though every connection opens', async () => {
    const { stage } = pair;
    // the switch forwards no larger frames, and nobody is told; packets are made by the hosts as they go out
    for (const { namespace } of [stage.n1, stage.n2]) ip(['-n', namespace, 'link', 'set', 'eth0', 'gso_max_segs', '1']);
    ip(['-n', stage.switchNamespace, 'link', 'set', 'p1', 'mtu', '1400']);
    try {
      const { line } = await check(pair.primary);
      expect(line('NETWORK - LARGE PACKETS')).toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(/primary: small packets come through/),
      });
      expect(line('NETWORK - LATENCY').primary).toMatch(/ ms$/);
    } finally {
      ip(['-n', stage.switchNamespace, 'link', 'set', 'p1', 'mtu', '1500']);
    }
    await pair.inSync({ withinMs: 90_000 });
  }, 180_000);

  it('see a file of PostgreSQL that was changed by hand', async () => {
    const rules = join(pair.secondary.dataDirectory, 'postgresql-config', 'pg_hba.conf');
    const text = readFileSync(rules, 'utf8');
    const lines = text.split('\n').filter((entry) => !entry.startsWith('hostssl replication'));
    writeFileSync(rules, `${lines.join('\n')}\nhost all all 10.0.0.0/8 no-such-method\n`);
    try {
      const { line } = await check(pair.primary);
      const { status, reason } = line('DATABASE - CHECK LISTENER CONFIG CORRUPTION');
      expect(status).toBe('failed');
      expect(reason).toMatch(/^secondary: pg_hba.conf line \d+: invalid authentication method "no-such-method"/);
      expect(reason).toContain('no rule that lets the other server in to replication');
    } finally {
      writeFileSync(rules, text);
    }
  }, 90_000);

  it('give the same picture from the secondary, and do not keep a forced failover waiting', async () => {
    const started = await pair.secondary.ask('POST', '/ha/readiness-checks', {});
    await pair.secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 });
    if (!started.accepted) throw new Error(started.detail);
    expect(await pair.secondary.ended(started.operationId, RUN)).toMatchObject({ state: 'succeeded' });
    await pair.inSyncSwapped({ withinMs: 60_000 });
    const { line } = await check(pair.secondary);
    expect(line('DATABASE - CHECK ONLINE STATUS')).toMatchObject({
      primary: 'standby, answers',
      secondary: 'read-write, answers',
    });
    expect(line('SYSTEM - CHECK OS COMPATIBILITY').secondary).toContain('Other 1');
  }, 240_000);

  it('end in time when the other server is dead, and pass nothing that needs it', async () => {
    pair.primary.die();
    const { report, line } = await check(pair.secondary);
    expect(report.checks.filter(({ status }) => status === 'passed')).toEqual([]);
    expect(line('DATABASE - SYNC STATUS').reason).toMatch(/^primary: not checked: alpha does not answer/);
  }, 90_000);
});
