import { randomInt } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { CliError, EXIT } from '../cli-error.ts';

/** One server of the demonstration. */
export interface DemoServer {
  readonly name: 'alpha' | 'beta';
  readonly role: 'primary' | 'secondary';
  readonly address: string;
  readonly configurationFile: string;
  readonly dataDirectory: string;
  readonly logFile: string;
}

/** Everything about the demonstration that is decided before it starts. */
export interface DemoPlan {
  readonly directory: string;
  readonly keyFile: string;
  readonly authenticationKey: string;
  readonly ports: DemoPorts;
  readonly servers: readonly [DemoServer, DemoServer];
}

const ADDRESSES = ['127.0.1.1', '127.0.1.2'] as const;

/**
 * Where each search for a free port begins. Database, bus and store are away from their usual ports, where the distribution's or
 * somebody's own may listen.
 */
const FIRST_PORTS = {
  healthMonitor: 8082,
  fileSync: 8083,
  pairLink: 7422,
  database: 15432,
  bus: 14222,
  store: 16379,
  sample: 8080,
};
/** The ports of both servers: the same at each address. */
export type DemoPorts = typeof FIRST_PORTS;

/** Steps of a search that keep the ports of the demonstration apart from each other. */
const PORT_STEP = 10;
const PORT_TRIES = 50;

/**
 * The directory of the demonstration: UNDERSTUDY_DEMO_DIRECTORY, else `.understudy/demo` in the checkout. As root PostgreSQL runs as
 * another user, which must be able to get there: below a closed home it is /var/lib/understudy-demo instead.
 */
export function demoDirectory(root: string, env: NodeJS.ProcessEnv = process.env): string {
  if (env.UNDERSTUDY_DEMO_DIRECTORY) return env.UNDERSTUDY_DEMO_DIRECTORY;
  const usual = join(root, '.understudy', 'demo');
  if (process.getuid?.() !== 0 || isOpenToOthers(root)) return usual;
  return '/var/lib/understudy-demo';
}

/** Lays the demonstration out, or finds it as the last start left it. Throws a CliError when one of its ports is taken. */
export async function planDemo(directory: string, root: string): Promise<DemoPlan> {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  const keyFile = join(directory, 'auth.key');
  if (!existsSync(keyFile)) writeFileSync(keyFile, `${inventKey()}\n`, { mode: 0o600 });
  const ports = await portsOf(join(directory, 'ports.json'));
  const servers = [server('alpha', 'primary', ADDRESSES[0]), server('beta', 'secondary', ADDRESSES[1])] as const;
  for (const each of servers) writeFileSync(each.configurationFile, configurationText(each, ports, keyFile, root));
  const authenticationKey = readFileSync(keyFile, 'utf8').trim();
  return { directory, keyFile, authenticationKey, ports, servers };

  function server(name: DemoServer['name'], role: DemoServer['role'], address: string): DemoServer {
    const file = (suffix: string) => join(directory, `${name}${suffix}`);
    return { name, role, address, configurationFile: file('.yaml'), dataDirectory: file(''), logFile: file('.log') };
  }
}

function configurationText(server: DemoServer, ports: DemoPorts, keyFile: string, root: string): string {
  const { sample, ...own } = ports;
  const node = {
    name: server.name,
    role: server.role,
    address: server.address,
    dataDirectory: server.dataDirectory,
    ...(server.role === 'secondary' ? { authenticationKeyFile: keyFile } : {}),
  };
  const sampleProcess = {
    name: 'Sample application',
    command: [join(root, 'node_modules/.bin/node'), join(root, 'apps/sample-app/dist/main.js')],
    environment: { SAMPLE_PORT: String(sample) },
    critical: true,
    restart: { attempts: 5, withinSeconds: 60, backoffSeconds: 0.5 },
    healthCheck: { http: `http://${server.address}:${sample}/health`, intervalSeconds: 2, timeoutSeconds: 2 },
  };
  const configuration = {
    node,
    ports: own,
    // Short times, so that a takeover can be watched. The defaults are 5 s, 3 beats, 10 s.
    heartbeat: { intervalSeconds: 1, missedLimit: 3, graceSeconds: 2, probeTimeoutSeconds: 1 },
    failover: { minimumSecondsBetween: 10 },
    database: { parameters: { shared_buffers: '32MB', max_connections: '40' } },
    processes: [sampleProcess],
  };
  // JSON is YAML.
  return `${JSON.stringify(configuration, null, 2)}\n`;
}

async function portsOf(file: string): Promise<DemoPorts> {
  if (existsSync(file)) {
    const ports = JSON.parse(readFileSync(file, 'utf8')) as DemoPorts;
    const taken = await firstTaken(Object.values(ports));
    if (taken === undefined) return ports;
    const remedy = 'End that program, or begin anew on other ports with "npm start -- --reset".';
    throw new CliError(EXIT.usage, `Port ${taken} of the demonstration is taken by another program. ${remedy}`);
  }
  const ports = { ...FIRST_PORTS };
  for (const name of Object.keys(ports) as (keyof DemoPorts)[]) ports[name] = await freeFrom(FIRST_PORTS[name]);
  writeFileSync(file, `${JSON.stringify(ports, null, 2)}\n`);
  return ports;
}

async function freeFrom(first: number): Promise<number> {
  for (let attempt = 0; attempt < PORT_TRIES; attempt += 1) {
    const port = first + attempt * PORT_STEP;
    if ((await firstTaken([port])) === undefined) return port;
  }
  throw new CliError(EXIT.usage, `No free port found from ${first} on.`);
}

async function firstTaken(ports: readonly number[]): Promise<number | undefined> {
  for (const port of ports) {
    for (const address of ADDRESSES) if (!(await isFree(port, address))) return port;
  }
  return undefined;
}

function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, address, () => probe.close(() => resolve(true)));
  });
}

/** Meets the standard for keys: long, with capitals, small letters, digits and signs. */
function inventKey(): string {
  const words = ['Curtain', 'Spotlight', 'Prompter', 'Balcony', 'Encore', 'Overture', 'Backdrop', 'Rehearsal'];
  const pick = () => words[randomInt(words.length)] as string;
  const number = () => randomInt(100, 1000);
  return [pick(), number(), pick(), number(), pick(), number()].join('-');
}

function isOpenToOthers(directory: string): boolean {
  for (let at = directory; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}
