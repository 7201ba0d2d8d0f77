import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { defineRequest, healthQueryOf, PeerIdentitySchema, type ServiceName } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import {
  fingerprintOf,
  isAlive,
  NodePaths,
  PeerIdentityFile,
  processStartTime,
  readBusCredentials,
  SILENT_LOGGER,
} from '@understudy/platform';
import { z } from 'zod';
import type { RunnerLock } from './runner-lock.ts';

const SERVICES: readonly ServiceName[] = ['file-sync', 'readiness-checker', 'notifier', 'patch-manager'];
const RUNNER = fileURLToPath(new URL('../../dist/node-runner/run-node.js', import.meta.url));
const Greet = {
  kind: 'query',
  name: 'greet',
  service: 'notifier',
  data: z.object({}),
  reply: z.object({ by: z.string() }),
} as const;
const PairGreet = defineRequest({ ...Greet, reach: 'pair' });
const LocalGreet = defineRequest({ ...Greet, reach: 'local' });

/** A server under test: its configuration, its runner. */
class Server {
  readonly directory = mkdtempSync(join(tmpdir(), 'node-'));
  readonly configFile = join(this.directory, 'node.yaml');
  readonly paths = new NodePaths(join(this.directory, 'data'));
  process: ChildProcess | null = null;
  errors = '';
  private exit = Promise.resolve<number | null>(null);
  private buses: Bus[] = [];

  constructor(
    readonly name: string,
    readonly role: 'primary' | 'secondary',
    readonly address: string,
    private readonly more: object = {},
  ) {
    chmodSync(this.directory, 0o755); // PostgreSQL's user must reach it
    this.configure({});
  }

  /** Writes the configuration file, with other values in the section `node`. */
  configure(other: object): void {
    const { name, role, address, paths, more } = this;
    const own = { name, role, address, dataDirectory: paths.dataDirectory, authenticationKeyFile: '/nowhere' };
    writeFileSync(this.configFile, JSON.stringify({ node: { ...own, ...other }, ...more }));
  }

  start(environment: NodeJS.ProcessEnv = process.env): void {
    const script = `const { runNode } = await import(${JSON.stringify(RUNNER)});
      process.exitCode = await runNode(${JSON.stringify({ configFile: this.configFile, layout: 'separate', services: SERVICES })});`;
    this.errors = '';
    for (const bus of this.buses.splice(0)) void bus.close();
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environment,
    });
    child.stderr?.on('data', (data) => {
      this.errors += String(data);
    });
    this.exit = new Promise((resolve) => child.once('exit', resolve));
    this.process = child;
  }

  /** The exit code of a runner that is expected to end. */
  async ends(limitMs = 15_000): Promise<number | null> {
    return Promise.race([
      this.exit,
      new Promise<never>((_, reject) => setTimeout(() => reject(new Error('still runs')), limitMs).unref()),
    ]);
  }

  get lock(): RunnerLock | null {
    if (!existsSync(this.paths.runnerLock)) return null;
    return JSON.parse(readFileSync(this.paths.runnerLock, 'utf8')) as RunnerLock;
  }

  pidOf(name: string): number {
    return this.lock?.children.find((child) => child.name === name)?.pid ?? 0;
  }

  async bus(): Promise<Bus> {
    const bus = await Bus.connect({
      credentials: readBusCredentials(this.paths),
      name: 'test',
      role: this.role,
      logger: SILENT_LOGGER,
    });
    this.buses.push(bus);
    return bus;
  }

  async isWell(): Promise<boolean> {
    const bus = this.buses[0] ?? (await this.bus());
    const answers = await Promise.all(
      SERVICES.map((name) => bus.request(healthQueryOf(name), {}, { timeoutMs: 1000 }).catch(() => null)),
    );
    return answers.every((answer) => answer?.state === 'ready');
  }

  async running(): Promise<void> {
    rmSync(this.paths.busCredentials, { force: true });
    this.start();
    await until(() => existsSync(this.paths.busCredentials), 20_000);
    await until(() => this.isWell(), 20_000);
  }

  async remove(): Promise<void> {
    await Promise.all(this.buses.map((bus) => bus.close()));
    this.process?.kill('SIGKILL');
    await this.ends();
    for (const { pid, startTime } of this.lock?.children ?? [])
      if (isAlive(pid, startTime)) process.kill(pid, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

describe('a server that runs', () => {
  let server: Server;
  beforeAll(async () => {
    server = new Server('alpha', 'primary', '127.0.77.1');
    await server.running();
  }, 40_000);
  afterAll(() => server.remove(), 20_000);

  it.each([
    ['nats-server', 'nats', 4222],
    ['redis-server', 'redis', 6379],
  ] as const)(
    'starts %s again when it is killed and its files are lost',
    async (name, files, port) => {
      rmSync(server.paths[files], { recursive: true });
      const before = server.pidOf(name);
      process.kill(before, 'SIGKILL');
      await until(() => ![0, before].includes(server.pidOf(name)), 10_000);
      await until(() => listens(server.address, port), 15_000);
      await until(() => server.isWell(), 15_000);
    },
    45_000,
  );

  it.each(['nats-server', 'redis-server', ...SERVICES])(
    'starts %s again when it is killed',
    async (name) => {
      const before = server.pidOf(name);
      expect(before).toBeGreaterThan(0);
      process.kill(before, 'SIGKILL');
      await until(() => ![0, before].includes(server.pidOf(name)), 10_000);
      await until(() => server.isWell(), 15_000);
    },
    30_000,
  );

  it.each([['nats-server'], ['notifier']])(
    'replaces %s when it hangs',
    async (name) => {
      const before = server.pidOf(name);
      process.kill(before, 'SIGSTOP');
      await until(() => ![0, before].includes(server.pidOf(name)), 55_000);
      expect(processStartTime(before)).toBeNull();
      await until(() => server.isWell(), 15_000);
    },
    80_000,
  );

  it('is not started twice', async () => {
    const second = new Server('alpha', 'primary', '127.0.77.1');
    writeFileSync(second.configFile, readFileSync(server.configFile));
    second.start();
    expect(await second.ends()).toBe(2);
    expect(second.errors).toContain(`this server runs already (pid ${server.process?.pid})`);
    expect(server.lock?.pid).toBe(server.process?.pid);
    await second.remove();
  }, 20_000);

  it('keeps others from its ports, by name', async () => {
    const other = new Server('beta', 'secondary', '127.0.77.1');
    other.start();
    expect(await other.ends()).toBe(2);
    expect(other.errors).toMatch(/ports\.bus: port 4222 on 127\.0\.77\.1 is taken by nats-server \(pid \d+\)/);
    expect(other.errors).toMatch(/ports\.store: port 6379/);
    expect(existsSync(other.paths.identity)).toBe(false);
    await other.remove();
  }, 20_000);

  it('takes nothing with it when it is killed, and starts again', async () => {
    const children = server.lock?.children ?? [];
    expect(children).toHaveLength(6);
    process.kill(server.pidOf('notifier'), 'SIGSTOP'); // cannot notice by itself
    server.process?.kill('SIGKILL');
    await server.ends();
    await until(() => children.filter(({ pid, startTime }) => isAlive(pid, startTime)).length <= 1, 12_000);
    await server.running();
    expect(children.some(({ pid, startTime }) => isAlive(pid, startTime))).toBe(false);
  }, 60_000);

  it('stops in order, leaves nothing behind and ends with 0', async () => {
    const children = server.lock?.children ?? [];
    server.process?.kill('SIGTERM');
    expect(await server.ends(30_000)).toBe(0);
    expect(children.some(({ pid, startTime }) => isAlive(pid, startTime))).toBe(false);
    expect(existsSync(server.paths.runnerLock)).toBe(false);
  }, 40_000);
});

describe('a server that cannot be started', () => {
  let server: Server;
  afterEach(() => server.remove());

  it.each<[string, (at: Server) => NodeJS.ProcessEnv | undefined, RegExp]>([
    [
      'a bad configuration',
      (at) =>
        void writeFileSync(
          at.configFile,
          '{"node":{"name":"alpha","role":"primary","address":"127.0.77.3"},"portz":{}}',
        ),
      /node\.yaml: portz is not a known key\. Did you mean ports\?/,
    ],
    [
      'the data of another server',
      (at) => {
        mkdirSync(at.paths.dataDirectory);
        writeFileSync(at.paths.nodeFile, '{"name":"omega","role":"secondary"}');
        return undefined;
      },
      /belongs to secondary "omega", this configuration is for primary "alpha"/,
    ],
    [
      'missing packages',
      (at) => ({ PATH: at.directory, UNDERSTUDY_DATABASE__BIN_DIRECTORY: at.directory }),
      /(missing on this machine|there is no PostgreSQL in)/,
    ],
    [
      'a directory that PostgreSQL’s user cannot reach',
      (at) => void chmodSync(at.directory, 0o700),
      /the user "postgres" cannot reach .*\/data\/postgresql, because .* is closed to it; "chmod o\+x /,
    ],
    [
      'a user that does not exist',
      () => ({ ...process.env, UNDERSTUDY_DATABASE__OS_USER: 'nobody-at-all' }),
      /database\.osUser: there is no user "nobody-at-all"/,
    ],
    [
      'a directory that is a file',
      (at) => void writeFileSync(at.paths.dataDirectory, ''),
      /node\.dataDirectory: .*; make it writable or set another directory/,
    ],
  ])('says so for %s, and ends with 2', async (_, prepare, expected) => {
    server = new Server('alpha', 'primary', '127.0.77.3');
    server.start(prepare(server));
    expect(await server.ends()).toBe(2);
    expect(server.errors).toMatch(expected);
    expect(server.errors).not.toContain('    at ');
  });

  it.each([
    ['node.name', { name: 'omega' }, {}, 'is omega, but this server is paired with alpha'],
    ['node.address', { address: '127.0.77.9' }, {}, 'is 127.0.77.9, but this server is paired with 127.0.77.3'],
    ['ports.database', {}, { database: 5433 }, 'is 5433, but this server is paired with 5432'],
  ])('says that a paired server keeps its %s, and how to change it', async (key, node, ports, expected) => {
    server = new Server('alpha', 'primary', '127.0.77.3', { ports });
    const known = { name: 'alpha', role: 'primary', address: '127.0.77.3', ports: { database: 5432 } };
    mkdirSync(server.paths.identity, { recursive: true });
    writeFileSync(server.paths.nodeFile, JSON.stringify(known));
    writeFileSync(server.paths.peer, '{}');
    server.configure(node);
    server.start();
    expect(await server.ends()).toBe(2);
    expect(server.errors).toContain(`${server.configFile}: ${key} ${expected}`);
    expect(server.errors).toContain('remove HA first');
    expect(JSON.parse(readFileSync(server.paths.nodeFile, 'utf8'))).toEqual(known);
  });

  it('says so for an address this machine does not have', async () => {
    server = new Server('alpha', 'primary', '192.0.2.1');
    server.start();
    expect(await server.ends()).toBe(2);
    expect(server.errors.trim().split('\n')).toEqual([expect.stringContaining('has no address 192.0.2.1')]);
  });

  it('says who has the port', async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(8082, '127.0.77.3', resolve));
    server = new Server('alpha', 'primary', '127.0.77.3');
    server.start();
    expect(await server.ends()).toBe(2);
    expect(server.errors).toContain(`ports.healthMonitor: port 8082 on 127.0.77.3 is taken by`);
    expect(server.errors).toContain(`(pid ${process.pid})`);
    await new Promise((resolve) => listener.close(resolve));
  });
});

describe('a server that is not paired', () => {
  const server = new Server('alpha', 'primary', '127.0.77.6');
  afterAll(() => server.remove(), 20_000);

  it('may get another name and another address, and has a certificate for them', async () => {
    await server.running();
    const certificateOf = () => new X509Certificate(readFileSync(server.paths.certificate));
    expect(certificateOf().checkIP('127.0.77.6')).toBe('127.0.77.6');
    server.process?.kill('SIGTERM');
    expect(await server.ends()).toBe(0);
    server.configure({ name: 'gamma' });
    await server.running();
    expect(certificateOf().subject).toContain('understudy-gamma');
    server.process?.kill('SIGTERM');
    expect(await server.ends()).toBe(0);
    server.configure({ name: 'gamma', address: '127.0.77.7' });
    await server.running();
    expect(certificateOf().checkIP('127.0.77.7')).toBe('127.0.77.7');
  }, 60_000);

  it('goes on with the configuration of its start when the file is broken meanwhile', async () => {
    writeFileSync(server.configFile, 'node: {');
    const before = server.pidOf('notifier');
    process.kill(before, 'SIGKILL');
    await until(() => server.pidOf('notifier') !== before, 10_000);
    await until(() => server.isWell(), 20_000);
  }, 40_000);
});

describe('two servers that have pinned each other', () => {
  const alpha = new Server('alpha', 'primary', '127.0.77.4');
  const beta = new Server('beta', 'secondary', '127.0.77.5');
  beforeAll(async () => {
    await alpha.running();
    await beta.running();
  }, 60_000);
  afterAll(async () => {
    await alpha.remove();
    await beta.remove();
  }, 30_000);

  it('are linked; only pair messages cross; unlinked again when one forgets', async () => {
    await pin(alpha, beta);
    await pin(beta, alpha);
    const [here, there] = [await alpha.bus(), await beta.bus()];
    there.handle(PairGreet, () => ({ by: 'beta' }));
    there.handle(LocalGreet, () => ({ by: 'beta' }));
    const ask = () => here.request(PairGreet, {}, { timeoutMs: 3000 });
    await until(
      () =>
        ask().then(
          () => true,
          () => false,
        ),
      15_000,
    );
    expect(await ask()).toEqual({ by: 'beta' });
    await expect(here.request(LocalGreet, {}, { timeoutMs: 3000 })).rejects.toMatchObject({ code: 'no-responder' });

    process.kill(beta.pidOf('nats-server'), 'SIGKILL');
    await until(
      () =>
        ask().then(
          () => false,
          () => true,
        ),
      5000,
    );
    await until(
      () =>
        ask().then(
          () => true,
          () => false,
        ),
      15_000,
    );

    await new PeerIdentityFile(beta.paths.peer, (value) => PeerIdentitySchema.parse(value)).remove();
    await until(() => !readFileSync(join(beta.paths.nats, 'nats.conf'), 'utf8').includes('leafnodes'), 5000);
    await until(
      () =>
        ask().then(
          () => false,
          () => true,
        ),
      10_000,
    );
    await until(() => there.connected, 5000);
  }, 60_000);
});

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function pin(at: Server, peer: Server): Promise<void> {
  const certificatePem = readFileSync(peer.paths.certificate, 'utf8');
  await new PeerIdentityFile(at.paths.peer, (value) => PeerIdentitySchema.parse(value)).write({
    name: peer.name,
    role: peer.role,
    address: peer.address,
    certificatePem,
    fingerprint: fingerprintOf(certificatePem),
    ports: { healthMonitor: 8082, fileSync: 8083, pairLink: 7422, database: 5432 },
    pairId: 'pair-1',
  });
}

async function until(condition: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
