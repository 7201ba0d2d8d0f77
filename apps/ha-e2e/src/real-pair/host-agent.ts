import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { AgentReply, AgentRequest } from './agent-process.ts';
import type { Host } from './host.ts';
import { nodeBinary, siblingScript } from './node-scripts.ts';

/** The answer to an HTTP request. `json` is undefined when the body is none. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly json: unknown;
}

/** Asks questions from inside a host: its own servers stay within reach when its cable is out. Dies with the host. */
export class HostAgent {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly waiting = new Map<number, (reply: AgentReply) => void>();
  private lastId = 0;
  private hasEnded = false;

  constructor(host: Host) {
    const script = siblingScript(import.meta.url, 'agent-process');
    this.child = spawn('ip', ['netns', 'exec', host.namespace, nodeBinary(), script], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...host.environment(), NODE_NO_WARNINGS: '1' },
    });
    this.child.stdin.on('error', () => {});
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const { id, ...reply } = JSON.parse(line) as AgentReply & { id: number };
      this.waiting.get(id)?.(reply);
      this.waiting.delete(id);
    });
    const end = () => {
      this.hasEnded = true;
      for (const answer of this.waiting.values()) answer({ kind: 'error', error: 'the host is down' });
      this.waiting.clear();
    };
    this.child.once('error', end);
    this.child.once('close', end);
  }

  /** False when the host died, or the agent was closed. */
  get isAlive(): boolean {
    return !this.hasEnded;
  }

  /** Sends an HTTPS request. Rejects when there is no answer within `timeoutMs`; every status is an answer. */
  async http(
    method: string,
    url: string,
    options: { readonly token?: string; readonly body?: unknown; readonly timeoutMs?: number } = {},
  ): Promise<HttpAnswer> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (options.token) headers.authorization = `Bearer ${options.token}`;
    if (options.body !== undefined) headers['content-type'] = 'application/json';
    const body = options.body === undefined ? null : JSON.stringify(options.body);
    const reply = await this.ask({ kind: 'http', method, url, headers, body, timeoutMs: options.timeoutMs ?? 5000 });
    if (reply.kind !== 'http')
      throw new Error(`${method} ${url}: ${reply.kind === 'error' ? reply.error : reply.kind}`);
    return { status: reply.status, body: reply.body, json: parsedOrUndefined(reply.body) };
  }

  /** Runs SQL as the superuser over TCP. Rejects when it is refused or not answered within `timeoutMs`. */
  async query(host: string, port: number, sql: string, timeoutMs = 3000): Promise<(string | null)[][]> {
    const reply = await this.ask({ kind: 'query', host, port, sql, timeoutMs });
    if (reply.kind !== 'query') throw new Error(`${host}:${port} ${reply.kind === 'error' ? reply.error : reply.kind}`);
    return reply.rows;
  }

  /** Ends the agent. */
  close(): void {
    this.child.stdin.end();
  }

  private ask(wanted: AgentRequest): Promise<AgentReply> {
    if (this.hasEnded) return Promise.resolve({ kind: 'error', error: 'the host is down' });
    const id = ++this.lastId;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.child.stdin.write(`${JSON.stringify({ id, ...wanted })}\n`);
    });
  }
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
