import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bus, type RunningService } from '@understudy/messaging';
import {
  ensureOwnIdentity,
  freePorts,
  loadConfiguration,
  makeServiceEnvironment,
  NodePaths,
  readBusCredentials,
  SILENT_LOGGER,
} from '@understudy/platform';
import { startApiGateway } from '../gateway.ts';

export const CLI_TOKEN = 'a-token-that-only-root-may-read';
const ADDRESS = '127.0.0.1';

/** An answer of the gateway under test. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON, null when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly json: any;
}

/** What a test may send. */
export interface Sent {
  readonly body?: unknown;
  readonly raw?: string;
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
}

/** A gateway on a real bus and a real node store, and a connection to play its health-monitor with. */
export class GatewayStage {
  private readonly children: ChildProcess[] = [];
  private gateway: RunningService | undefined;

  private constructor(
    private readonly directory: string,
    private readonly configurationFile: string,
    readonly port: number,
    private readonly busPort: number,
    readonly bus: Bus,
  ) {}

  static async open(): Promise<GatewayStage> {
    const directory = mkdtempSync(join(tmpdir(), 'understudy-gateway-'));
    const [port, busPort, storePort] = (await freePorts(3)) as [number, number, number];
    const configurationFile = join(directory, 'node.yaml');
    writeFileSync(
      configurationFile,
      JSON.stringify({
        node: { name: 'alpha', role: 'primary', address: ADDRESS, dataDirectory: directory },
        ports: { healthMonitor: port, bus: busPort, store: storePort },
      }),
    );
    const paths = new NodePaths(directory);
    await mkdir(paths.run, { recursive: true });
    await mkdir(paths.identity, { recursive: true });
    await ensureOwnIdentity(paths, { name: 'alpha', address: ADDRESS });
    writeFileSync(
      paths.busCredentials,
      JSON.stringify({ url: `nats://${ADDRESS}:${busPort}`, user: 'u', password: 'p' }),
    );
    writeFileSync(paths.storeCredentials, JSON.stringify({ host: ADDRESS, port: storePort, password: 's' }));
    writeFileSync(paths.cliToken, `${CLI_TOKEN}\n`);
    const nats = startBus(busPort);
    const redis = spawn(
      'redis-server',
      ['--bind', ADDRESS, '--port', String(storePort), '--requirepass', 's', '--save', '', '--dir', directory],
      { stdio: 'ignore' },
    );
    await Promise.all([listens(busPort), listens(storePort)]);
    const bus = await Bus.connect({
      credentials: readBusCredentials(paths),
      name: 'test',
      role: 'primary',
      logger: SILENT_LOGGER,
    });
    const stage = new GatewayStage(directory, configurationFile, port, busPort, bus);
    stage.children.push(nats, redis);
    await stage.startGateway();
    return stage;
  }

  async startGateway(): Promise<void> {
    const loaded = loadConfiguration(this.configurationFile, {});
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { configuration } = loaded;
    const options = { file: this.configurationFile, runId: 'run', configuration, logger: SILENT_LOGGER };
    this.gateway = await startApiGateway(makeServiceEnvironment('api-gateway', options));
  }

  async stopGateway(): Promise<void> {
    await this.gateway?.close({ reason: 'service-restart' });
    this.gateway = undefined;
  }

  /** Another bus in place of the present one, as when the peer changes. */
  async replaceBus(): Promise<void> {
    const [present] = this.children;
    if (present) {
      const ended = once(present, 'exit');
      present.kill('SIGKILL');
      await ended;
    }
    this.children[0] = startBus(this.busPort);
  }

  stopStore(): void {
    this.children[1]?.kill('SIGKILL');
  }

  /** One request, signed in as the command line unless `token` says otherwise (null: nobody). */
  ask(method: string, path: string, { body, raw, token = CLI_TOKEN, headers = {} }: Sent = {}): Promise<Answer> {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: ADDRESS,
          port: this.port,
          method,
          path,
          rejectUnauthorized: false,
          agent: false,
          timeout: 20_000,
          headers: {
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
            ...(token === null ? {} : { authorization: `Bearer ${token}` }),
            ...headers,
          },
        },
        (incoming) => {
          let text = '';
          incoming.setEncoding('utf8');
          incoming.on('data', (chunk: string) => {
            text += chunk;
          });
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: parsed(text) }),
          );
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer`)));
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }

  /** Opens an event stream; `text()` is what it has sent so far. */
  stream(headers: Record<string, string> = {}): { text: () => string; close: () => void } {
    let text = '';
    const outgoing = request(
      {
        host: ADDRESS,
        port: this.port,
        path: '/api/v1/ha/events/stream',
        rejectUnauthorized: false,
        agent: false,
        headers: { authorization: `Bearer ${CLI_TOKEN}`, ...headers },
      },
      (incoming) => incoming.on('data', (chunk: Buffer) => (text += chunk.toString())),
    );
    outgoing.on('error', () => {});
    outgoing.end();
    return { text: () => text, close: () => outgoing.destroy() };
  }

  async close(): Promise<void> {
    await this.stopGateway();
    await this.bus.close();
    for (const child of this.children) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Waits until `holds` says so; rejects with `what` after 5 s. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 15 s: ${what}`);
    await sleep(10);
  }
}

function startBus(port: number): ChildProcess {
  return spawn('nats-server', ['-a', ADDRESS, '-p', String(port), '--user', 'u', '--pass', 'p'], { stdio: 'ignore' });
}

async function listens(port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, ADDRESS, () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on ${port}`);
    await sleep(20);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
