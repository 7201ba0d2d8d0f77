import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { findPostgresqlBinDirectory } from './find-postgresql.ts';
import { formatProblem, loadConfiguration } from './load-configuration.ts';
import { effectiveConfigurationForShow } from './show-configuration.ts';
import { settingsWithoutEffect } from './without-effect.ts';

const directory = mkdtempSync(join(tmpdir(), 'configuration-'));
const file = join(directory, 'node.yaml');
const MINIMAL = 'node: { name: alpha, role: primary, address: 10.77.0.1 }\n';
afterAll(() => rmSync(directory, { recursive: true }));

function load(text: string, environment: NodeJS.ProcessEnv = {}) {
  writeFileSync(file, text);
  return loadConfiguration(file, environment);
}

function accepted(text: string, environment: NodeJS.ProcessEnv = {}) {
  const loaded = load(text, environment);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.configuration;
}

function refused(text: string, environment: NodeJS.ProcessEnv = {}): string[] {
  const loaded = load(text, environment);
  return loaded.ok ? [] : loaded.problems.map(formatProblem).map((line) => line.replace(`${file}: `, ''));
}

describe('the defaults', () => {
  it('are the documented ones', () => {
    const { database, ...configuration } = accepted(MINIMAL);
    expect(configuration).toEqual({
      node: { name: 'alpha', role: 'primary', address: '10.77.0.1', dataDirectory: '/var/lib/understudy' },
      ports: { healthMonitor: 8082, fileSync: 8083, pairLink: 7422, database: 5432, bus: 4222, store: 6379 },
      heartbeat: { intervalSeconds: 5, missedLimit: 3, graceSeconds: 10, probeTimeoutSeconds: 5 },
      failover: { minimumSecondsBetween: 300, maximumLagBytes: 16_777_216 },
      fileSets: [],
      processes: [],
      readiness: { cpus: 2, memory: 2 * 1024 ** 3, disk: 20 * 1024 ** 3 },
      storage: { warnPercent: 80, criticalPercent: 90, checkSeconds: 30 },
      telemetry: { sampleRatio: 0.05 },
    });
    expect({ ...database, binDirectory: '' }).toEqual({
      binDirectory: '',
      dataDirectory: '/var/lib/understudy/postgresql',
      osUser: 'postgres',
      accessRules: [],
      parameters: {},
      retentionHours: 6,
      replication: 'async',
      walKeepLimit: 8 * 1024 ** 3,
      copyRateLimit: 0,
    });
  });

  it('put the database below the server’s data directory', () => {
    const { database } = accepted(MINIMAL.replace(' }', ', dataDirectory: /srv/u }'));
    expect(database.dataDirectory).toBe('/srv/u/postgresql');
  });

  it('of a process are the documented ones', () => {
    const [process] = accepted(
      `${MINIMAL}processes: [{ name: NMS Server, command: [/opt/server, --port, 443], environment: { N: 1 }, healthCheck: { tcp: "127.0.0.1:443" } }]`,
    ).processes;
    expect(process).toEqual({
      name: 'NMS Server',
      command: ['/opt/server', '--port', '443'],
      environment: { N: '1' },
      critical: false,
      enabled: true,
      runsOn: 'active',
      stopSeconds: 10,
      restart: { attempts: 3, withinSeconds: 60, backoffSeconds: 1 },
      healthCheck: { tcp: '127.0.0.1:443', intervalSeconds: 5, timeoutSeconds: 2, failures: 3 },
    });
  });
});

describe('a file', () => {
  it('may be JSON', () => {
    const node = { name: 'alpha', role: 'primary', address: 'alpha.example.net' };
    expect(
      accepted(JSON.stringify({ node, heartbeat: { intervalSeconds: 0.25, graceSeconds: 0 } })).heartbeat,
    ).toMatchObject({
      intervalSeconds: 0.25,
      graceSeconds: 0,
    });
  });

  it('accepts sizes with units', () => {
    expect(accepted(`${MINIMAL}database: { walKeepLimit: 512MiB, copyRateLimit: 10 MB }`).database).toMatchObject({
      walKeepLimit: 536_870_912,
      copyRateLimit: 10_000_000,
    });
  });

  it('that is missing or broken is one problem', () => {
    expect(loadConfiguration('/nonexistent/node.yaml', {})).toMatchObject({
      ok: false,
      problems: [{ file: '/nonexistent/node.yaml', key: '', message: 'does not exist' }],
    });
    expect(refused('node: [')).toEqual([expect.stringContaining('is not valid YAML')]);
    expect(refused('just a sentence')).toEqual([expect.stringContaining('holds no sections')]);
    expect(refused('')).toEqual([expect.stringContaining('node is missing')]);
  });

  it('that is a directory, or whose syntax is wrong, is told in words', () => {
    expect(loadConfiguration(directory, {})).toMatchObject({
      problems: [{ message: 'is a directory', remedy: 'Name the file in it with --config FILE.' }],
    });
    expect(refused('node:\n\tname: alpha\n')).toEqual([
      'is not valid YAML: Tabs are not allowed as indentation at line 2, column 1. Correct the syntax.',
    ]);
  });

  it.each([
    ['witness: { kind: nat }', 'witness.kind is "nat", not one of nats, gateway. Set it to nats or gateway.'],
    ['witness: { servers: [] }', 'witness.kind is missing. Set it to nats or gateway.'],
    ['heartbeat: { missedLimit: 2.5 }', 'heartbeat.missedLimit is 2.5, not a whole number. Set it to how many'],
    ['heartbeat: [1]', 'heartbeat is [1], not a section. Correct the value.'],
    ['virtualIp: eth0', 'virtualIp is "eth0", not a section. Set it to a section with interface.'],
    ['fileSets: {}', 'fileSets is {}, not a list. Set it to a list of file sets.'],
    ['ports:', 'ports is empty, not a section. Fill it or remove it.'],
    [
      'database: { parameters: { "a b": 1 } }',
      'database.parameters.a b is not a name of a setting. Remove it or correct',
    ],
    ['database: { parameters: [a] }', 'database.parameters is ["a"], not a section. Set it to settings of'],
    [
      'database: { walKeepLimit: }',
      'database.walKeepLimit is empty, not a number or a text. Set it to the upper bound',
    ],
    ['processes: [{ name: a, unit: x, critical: no }]', 'processes.0.critical is "no", not true or false. Set it to'],
    ['processes: [{ name: a, unit: x, user: nms }]', "the unit's own matter: set it there. Remove it here."],
  ])('%s is refused with what it is instead, and the remedy', (text, expected) => {
    expect(refused(`${MINIMAL}${text}`)).toEqual([expect.stringContaining(expected)]);
  });

  it('keeps no more WAL than PostgreSQL can be told to', () => {
    expect(accepted(`${MINIMAL}database: { walKeepLimit: 1000 TiB }`).database.walKeepLimit).toBe(1000 * 1024 ** 4);
    expect(refused(`${MINIMAL}database: { walKeepLimit: 2048 TiB }`)).toEqual([
      expect.stringMatching(/^database\.walKeepLimit is not below 2 PiB/),
    ]);
  });

  it('has all of its problems reported at once, each with key and remedy', () => {
    const problems = refused(`
      node: { name: Alpha, rolle: primary, address: 0.0.0.0 }
      heartbeat: { intervalSeconds: 0.01 }
      failover: { maximumLagBytes: 3 apples }
      processes: [{ name: a, command: [x], unit: y }]
    `);
    expect(problems).toEqual([
      expect.stringMatching(/^node\.name "Alpha" is not made of .* Set it to the name of this server/),
      expect.stringMatching(/^node\.role is missing\. Set it to primary or secondary/),
      expect.stringMatching(/^node\.address is no address by which the peer/),
      expect.stringMatching(/^node\.rolle is not a known key\. Did you mean role\? /),
      expect.stringMatching(/^heartbeat\.intervalSeconds is 0\.01, less than 0\.1\. Set it to seconds/),
      expect.stringMatching(/^failover\.maximumLagBytes "3 apples" is not a size/),
      expect.stringMatching(/^processes\.0 needs exactly one of command, unit and container/),
    ]);
  });

  it.each([
    [
      'inside this server’s own directory',
      '/var/lib/understudy/identity',
      'node\\.dataDirectory "/var/lib/understudy"',
    ],
    ['around it', '/var', 'node\\.dataDirectory "/var/lib/understudy"'],
    ['around another set', '/etc', 'fileSets\\.0\\.path "/etc/nms"'],
    ['the same as another', '/etc/nms/.', 'fileSets\\.0\\.path "/etc/nms"'],
  ])('refuses a file set that lies %s', (_, path, clash) => {
    const sets = [
      { name: 'settings', path: '/etc/nms/', class: 'realtime' },
      { name: 'other', path, class: 'batch' },
    ];
    expect(refused(`${MINIMAL}fileSets: ${JSON.stringify(sets)}`)).toEqual([
      expect.stringMatching(new RegExp(`^fileSets\\.1\\.path is .*, and lies in, or holds, ${clash}\\. `)),
    ]);
  });

  it('refuses what is no file set, with a remedy for each mistake', () => {
    const patterns = { include: ['/absolute', '!not'] };
    const set = {
      name: 'No Name',
      path: 'etc',
      class: 'sometimes',
      ...patterns,
      atomic: 'yes',
      maxMibPerSecond: 0,
      hourly: true,
    };
    expect(refused(`${MINIMAL}fileSets: ${JSON.stringify([set])}`)).toEqual([
      expect.stringMatching(/^fileSets\.0\.name "No Name" is not made of/),
      expect.stringMatching(/^fileSets\.0\.path "etc" is not an absolute path/),
      expect.stringMatching(/^fileSets\.0\.class .* Set it to realtime/),
      expect.stringMatching(/^fileSets\.0\.include\.0 "\/absolute" begins with/),
      expect.stringMatching(/^fileSets\.0\.include\.1 "!not" begins with/),
      expect.stringMatching(/^fileSets\.0\.atomic /),
      expect.stringMatching(/^fileSets\.0\.maxMibPerSecond /),
      expect.stringMatching(/^fileSets\.0\.hourly is not a known key/),
    ]);
  });

  it('tells what does not go together in a list with other mistakes in it', () => {
    const fileSets = [
      { name: 'settings', path: '/etc/nms', class: 'realtime' },
      { name: 'settings', path: '/etc/nms/keys', class: 'seldom', exlude: ['*.tmp'] },
      'licenses',
    ];
    const processes = [{ name: 'a', unit: 'x' }, { name: 'a' }, null];
    const told = refused(`${MINIMAL}fileSets: ${JSON.stringify(fileSets)}\nprocesses: ${JSON.stringify(processes)}`);
    const keys = told.map((line) => line.split(' ').slice(0, 2).join(' '));
    expect(keys).toEqual(
      expect.arrayContaining([
        'fileSets.1.class is',
        'fileSets.1.exlude is',
        'fileSets.1.name is',
        'fileSets.1.path is',
        'fileSets.2 is',
        'processes.1 needs',
        'processes.1.name is',
        'processes.2 is',
      ]),
    );
  });

  it.each([
    [
      'two ports that are the same',
      `${MINIMAL}ports: { bus: 8082 }`,
      'ports.bus is 8082, the same as ports.healthMonitor',
    ],
    ['a secondary without key file', MINIMAL.replace('primary', 'secondary'), 'node.authenticationKeyFile is missing'],
    [
      'two processes of one name',
      `${MINIMAL}processes: [{ name: a, unit: x }, { name: a, unit: y }]`,
      'processes.1.name is "a" a second time',
    ],
    [
      'two processes that are one unit',
      `${MINIMAL}processes: [{ name: a, unit: x }, { name: b, unit: x.service }]`,
      'processes.1.unit is "x.service" a second time. Give each its own unit.',
    ],
    [
      'two processes that are one container',
      `${MINIMAL}processes: [{ name: a, container: x }, { name: b, unit: x }, { name: c, container: x }]`,
      'processes.2.container is "x" a second time',
    ],
    ['a process that is nothing', `${MINIMAL}processes: [{ name: a }]`, 'processes.0 needs exactly one of'],
    [
      'a critical level below the warning',
      `${MINIMAL}storage: { warnPercent: 95 }`,
      'storage.criticalPercent is 90, below',
    ],
    [
      'a check of a URL that is none of the web',
      `${MINIMAL}processes: [{ name: a, unit: x, healthCheck: { http: "localhost:8080/health" } }]`,
      'processes.0.healthCheck.http is not a URL that begins with http:// or https://',
    ],
    [
      'a check of a port that there is not',
      `${MINIMAL}processes: [{ name: a, unit: x, healthCheck: { tcp: "127.0.0.1:99999" } }]`,
      'processes.0.healthCheck.tcp has a port above 65535',
    ],
    [
      'a stop that is longer than the server waits for it',
      `${MINIMAL}processes: [{ name: a, unit: x, stopSeconds: 120 }]`,
      'processes.0.stopSeconds is 120, more than 60',
    ],
    [
      'a pause that no timer can keep',
      `${MINIMAL}processes: [{ name: a, unit: x, restart: { backoffSeconds: 3000000 } }]`,
      'processes.0.restart.backoffSeconds is 3000000, more than 86400',
    ],
    [
      'a time between looks at the disk that no timer can keep',
      `${MINIMAL}storage: { checkSeconds: 3000000 }`,
      'storage.checkSeconds is 3000000, more than 86400',
    ],
    ['a port out of range', `${MINIMAL}ports: { bus: 70000 }`, 'ports.bus is 70000, more than 65535'],
    [
      'a line that is no access rule',
      `${MINIMAL}database: { accessRules: ["allow all"] }`,
      'database.accessRules.0 "allow all" is not',
    ],
    [
      'a setting of PostgreSQL without a value',
      `${MINIMAL}database: { parameters: { work_mem: } }`,
      'database.parameters.work_mem',
    ],
    [
      'a setting of PostgreSQL in several lines',
      `${MINIMAL}database: { parameters: { archive_command: "a\\nb" } }`,
      'database.parameters.archive_command "a\\nb" has a line break',
    ],
    [
      'a section in place of an argument',
      `${MINIMAL}processes: [{ name: a, command: [x, { y: 1 }] }]`,
      'processes.0.command.1',
    ],
    [
      'what is a unit’s own matter',
      `${MINIMAL}processes: [{ name: a, unit: x, user: nms }]`,
      "processes.0.user is the unit's own matter: set it there",
    ],
    [
      'an environment for a container',
      `${MINIMAL}processes: [{ name: a, container: x, environment: { A: 1 } }]`,
      "processes.0.environment is the container's own matter: set it there",
    ],
    ['a unit that is no service', `${MINIMAL}processes: [{ name: a, unit: "a b" }]`, 'is not the name of a systemd'],
    [
      'a key without its unit',
      `${MINIMAL}heartbeat: { interval: 5 }`,
      'heartbeat.interval is not a known key. Did you mean intervalSeconds?',
    ],
    ['an unknown section', `${MINIMAL}heartbeats: {}`, 'heartbeats is not a known key. Did you mean heartbeat?'],
  ])('is refused with %s', (_, text, expected) => {
    expect(refused(text)).toEqual([expect.stringContaining(expected)]);
  });
});

describe('an environment variable', () => {
  it('overrides the file, read as YAML', () => {
    const configuration = accepted(`${MINIMAL}heartbeat: { intervalSeconds: 9 }`, {
      UNDERSTUDY_HEARTBEAT__INTERVAL_SECONDS: '0.5',
      UNDERSTUDY_NODE__NAME: '42',
      UNDERSTUDY_DATABASE__PARAMETERS__SHARED_BUFFERS: '32MB',
      UNDERSTUDY_DATABASE__ACCESS_RULES: '[host all all all trust]',
      UNDERSTUDY_PROCESSES__0__NAME: 'app',
      UNDERSTUDY_PROCESSES__0__COMMAND: '[sleep, 1]',
      UNDERSTUDY_VIRTUAL_IP: '{ interface: eth1 }',
    });
    expect(configuration).toMatchObject({
      heartbeat: { intervalSeconds: 0.5 },
      node: { name: '42' },
      database: { parameters: { shared_buffers: '32MB' }, accessRules: ['host all all all trust'] },
      processes: [{ name: 'app', command: ['sleep', '1'] }],
      virtualIp: { interface: 'eth1' },
    });
  });

  it('is named when it is wrong', () => {
    const environment = { UNDERSTUDY_HEARTBEAT__INTERVAL: '1', UNDERSTUDY_HEARTBEAT__MISSED_LIMIT: 'x' };
    expect(refused(MINIMAL, environment)).toEqual([
      expect.stringMatching(/^environment variable UNDERSTUDY_HEARTBEAT__MISSED_LIMIT: heartbeat\.missedLimit is "x"/),
      expect.stringMatching(
        /^environment variable UNDERSTUDY_HEARTBEAT__INTERVAL: heartbeat\.interval is not a known key/,
      ),
    ]);
    expect(refused(MINIMAL, { UNDERSTUDY_NODE__NAME__FIRST: 'x' })).toEqual([
      expect.stringContaining('UNDERSTUDY_NODE__NAME__FIRST: node.name.first lies below a value that is no section'),
    ]);
  });

  it('that is none of the configuration’s is left alone', () => {
    expect(
      accepted(MINIMAL, { UNDERSTUDY_RUN_ID: 'x', UNDERSTUDY_CONFIG_FILE: 'y', UNDERSTUDY_REPO: 'z' }).node.name,
    ).toBe('alpha');
  });
});

it('what is shown masks secrets', () => {
  const shown = JSON.stringify(
    effectiveConfigurationForShow(
      accepted(`${MINIMAL}
processes: [{ name: a, unit: x, environment: { DB_PASSWORD: hush1, DATABASE_URL: "postgresql://nms:hush2@db/nms" } }]
mail: { host: h, from: a@b, passwordFile: /etc/pw }`),
    ),
  );
  expect(shown).not.toContain('hush');
  expect(shown).toContain('postgresql://nms:[secret]@db/nms');
  expect(shown).toContain('/etc/pw');
});

it('PostgreSQL is found: the newest of the distribution, else the one on the PATH', () => {
  const root = join(directory, 'postgresql');
  for (const version of ['9', '13', '15', '17']) mkdirSync(join(root, version, 'bin'), { recursive: true });
  for (const version of ['9', '13', '15']) writeFileSync(join(root, version, 'bin/postgres'), '', { mode: 0o755 });
  expect(findPostgresqlBinDirectory('', root)).toBe(join(root, '15/bin'));
  expect(findPostgresqlBinDirectory(join(root, '13/bin'), '/nonexistent')).toBe(join(root, '13/bin'));
  expect(findPostgresqlBinDirectory('/nonexistent', '/nonexistent')).toBeNull();
});

it('what has no effect yet is said, and nothing else', () => {
  expect(settingsWithoutEffect(accepted(MINIMAL))).toEqual([]);
  const wanted = accepted(`${MINIMAL}
database: { replication: sync }
mail: { host: h, from: a@b }`);
  expect(settingsWithoutEffect(wanted)).toEqual([expect.stringContaining('mail is not yet available')]);
});

it('a virtual IP needs a lease that lasts longer than an address that the kernel drops late', () => {
  const withLease = (leaseSeconds: number) => `${MINIMAL}
heartbeat: { intervalSeconds: 0.3 }
virtualIp: { interface: eth0 }
witness: { kind: nats, servers: ["nats://w:4222"], leaseSeconds: ${leaseSeconds} }`;
  expect(refused(withLease(2))).toEqual([
    expect.stringContaining('witness.leaseSeconds is 2, too short for virtualIp'),
  ]);
  expect(accepted(withLease(3)).witness).toMatchObject({ leaseSeconds: 3 });
});

it('every mistake is told at once, those between sound values too', () => {
  const told = refused(`${MINIMAL}
ports: { healthMonitor: 1, fileSync: 1 }
heartbeat: { intervalSeconds: 7 }
witness: { kind: nats, servers: ["nats://w:4222"], leaseSeconds: 10 }
storage: { warnPercent: never }`);
  expect(told).toHaveLength(3);
  for (const key of ['ports.fileSync', 'storage.warnPercent', 'witness.leaseSeconds'])
    expect(told).toContainEqual(expect.stringContaining(key));
});
