import { appendFileSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { Host } from '../real-pair/host.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import { nodeBinary } from '../real-pair/node-scripts.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { scenariosOnRealPair } from './scenario.ts';

const VIRTUAL_IP = '10.77.0.100';
const PLACE = '/etc/powerdns';
/** As in docs/recipes/powerdns.md. */
const SETTINGS = `
launch=gpgsql
gpgsql-host=127.0.0.1
gpgsql-dbname=pdns
gpgsql-user=pdns
gpgsql-password=a secret of the database
setuid=pdns
setgid=pdns
api=yes
api-key=a secret of the API
webserver-address=0.0.0.0
webserver-allow-from=10.77.0.0/24
`;
/** What its unit starts, for hosts without systemd. */
const COMMAND = '/usr/sbin/pdns_server --guardian=no --daemon=no --disable-syslog --log-timestamp=no --write-pid=no';

/** Of both servers; the application comes when its database is there. */
const sections: Record<string, unknown> = {
  virtualIp: { interface: 'eth0' },
  database: {
    ...DATABASE_SECTION,
    accessRules: ['host pdns pdns 127.0.0.1/32 scram-sha-256', ...DATABASE_SECTION.accessRules],
  },
};
const APPLICATION = {
  fileSets: [{ name: 'powerdns', path: PLACE, class: 'realtime' }],
  processes: [
    {
      name: 'PowerDNS',
      command: [...COMMAND.split(' '), '--socket-dir=/tmp'],
      critical: true,
      healthCheck: { tcp: '127.0.0.1:53' },
    },
  ],
};

/** What a server has at the place of PowerDNS's configuration. */
const configurationOf = (host: Host) => join(host.directory, 'etc', 'powerdns');
const binds = (host: Host) => ({ [PLACE]: configurationOf(host) });

async function succeeds(host: Host, command: readonly string[]): Promise<string> {
  const { code, output } = await host.run(command, { timeoutMs: 20_000 });
  if (code !== 0) throw new Error(`${command.join(' ')}: ${output}`);
  return output;
}

/** The steps of the recipe up to the pair that serves. */
async function setUp({ primary, secondary }: RealPair): Promise<void> {
  const psql = ['psql', '-h', '127.0.0.1', '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-q'];
  await succeeds(primary.host, [
    ...psql,
    ...["create role pdns login password 'a secret of the database'", 'create database pdns owner pdns'].flatMap(
      (statement) => ['-c', statement],
    ),
  ]);
  const schema = '/usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql';
  await succeeds(primary.host, [...psql, '-d', 'pdns', '-c', 'set role pdns', '-f', schema]);
  for (const { host } of [primary, secondary]) cpSync(PLACE, configurationOf(host), { recursive: true });
  appendFileSync(join(configurationOf(primary.host), 'pdns.conf'), SETTINGS);
  Object.assign(sections, APPLICATION);
  for (const server of [secondary, primary]) {
    await server.stop({ withinMs: 60_000 });
    server.boot({ binds: binds(server.host) });
  }
}

/** Somebody who knows PowerDNS by the virtual IP only. */
class Client {
  private readonly host: Host;
  private readonly added: string[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  async createZone(): Promise<void> {
    await this.api('POST', '', { name: 'example.net.', kind: 'Native', nameservers: ['ns.example.net.'] });
  }

  /** Adds an address record; it counts when the API has said so. */
  async add(): Promise<void> {
    const name = `host${this.added.length + 1}.example.net`;
    const records = [{ content: '192.0.2.1', disabled: false }];
    const set = { name: `${name}.`, type: 'A', ttl: 1, changetype: 'REPLACE', records };
    await this.api('PATCH', '/example.net.', { rrsets: [set] });
    this.added.push(name);
  }

  /** Adds so many, whatever it takes. */
  async addMany(count: number, withinMs: number): Promise<void> {
    for (let each = 0; each < count; each++)
      await until('a record is added', { withinMs }, async () => this.add().then(() => true));
  }

  /** Names that were added and that a DNS query does not find. */
  async missing(): Promise<string[]> {
    const script = `const { Resolver } = require('node:dns').promises;
      const resolver = new Resolver({ timeout: 1000, tries: 3 });
      resolver.setServers(['${VIRTUAL_IP}']);
      const find = (name) => resolver.resolve4(name).then(() => [], () => [name]);
      Promise.all(${JSON.stringify(this.added)}.map(find)).then((found) => console.log(JSON.stringify(found.flat())));`;
    return JSON.parse(await this.node(script)) as string[];
  }

  private async api(method: string, path: string, body: unknown): Promise<void> {
    const url = `http://${VIRTUAL_IP}:8081/api/v1/servers/localhost/zones${path}`;
    const options = { method, headers: { 'X-API-Key': 'a secret of the API' }, body: JSON.stringify(body) };
    await this.node(`fetch(${JSON.stringify(url)}, { ...${JSON.stringify(options)}, signal: AbortSignal.timeout(2000) })
      .then((answer) => { if (!answer.ok) throw new Error(String(answer.status)); })`);
  }

  private node(script: string): Promise<string> {
    return succeeds(this.host, [nodeBinary(), '-e', script]);
  }
}

const runsOn = ({ host }: UnderstudyServer) => host.processes().some(({ name }) => name === 'pdns_server');

scenariosOnRealPair(
  'a name server of the distribution',
  { layout: 'separate', sections, application: false, virtualIp: { ipv4: VIRTUAL_IP } },
  (scenario) => {
    // docs/recipes/powerdns.md
    scenario(
      'PowerDNS, set up by its recipe, follows a forced failover and the death of the primary with every record that its API has acknowledged, and with its configuration',
      { failoverType: 'automatic', timeoutMs: 300_000 },
      async ({ pair, primary, secondary }) => {
        await setUp(pair);
        await pair.inSync({ withinMs: 90_000 });
        const client = new Client(pair.stage.n3);
        await until('the zone is made', { withinMs: 30_000 }, () => client.createZone().then(() => true));
        await client.addMany(5, 10_000);
        const settings = (server: UnderstudyServer) =>
          readFileSync(join(configurationOf(server.host), 'pdns.conf'), 'utf8');
        await until('the configuration is on both', { withinMs: 20_000 }, () => settings(secondary).includes(SETTINGS));
        expect(runsOn(secondary)).toBe(false);

        const switched = secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 });
        await client.addMany(10, 30_000);
        await switched;
        await pair.inSyncSwapped({ withinMs: 60_000 });
        expect(await client.missing()).toEqual([]);
        expect([runsOn(primary), runsOn(secondary)]).toEqual([false, true]);
        await secondary.perform('/ha/failback', {}, { withinMs: 60_000 });
        await pair.inSync({ withinMs: 60_000 });

        await client.addMany(5, 30_000);
        await pair.streams(primary, secondary, { withinMs: 10_000 });
        await primary.shows('that all is on both', { withinMs: 10_000 }, ({ database }) => database.lagBytes === 0);
        primary.die();
        await secondary.reaches('Secondary Active', { withinMs: 40_000 });
        await client.addMany(5, 30_000);
        expect(await client.missing()).toEqual([]);
      },
    );
  },
);
