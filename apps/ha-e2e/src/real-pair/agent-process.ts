/**
 * The harness's ears and hands inside one host: takes requests as JSON lines on stdin, answers as JSON lines on stdout.
 * One long-lived process per host instead of one `ip netns exec` per question. Ends when its stdin does.
 */
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import { PostgresConnection } from '../writer/postgres-wire.ts';

/** One request to the agent. */
export type AgentRequest =
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly method: string;
      readonly headers: Record<string, string>;
      readonly body: string | null;
      readonly timeoutMs: number;
    }
  | {
      readonly kind: 'query';
      readonly host: string;
      readonly port: number;
      readonly sql: string;
      readonly timeoutMs: number;
    };

/** What the agent answers: `error` when there was no answer at all. */
export type AgentReply =
  | { readonly kind: 'http'; readonly status: number; readonly body: string }
  | { readonly kind: 'query'; readonly rows: (string | null)[][] }
  | { readonly kind: 'error'; readonly error: string };

// The servers' certificates are self-signed; that they are the right ones is the product's concern, not the harness's.
const keptOpen = new Agent({ keepAlive: true, rejectUnauthorized: false, maxSockets: 4 });
const once = new Agent({ keepAlive: false, rejectUnauthorized: false });

async function http(wanted: Extract<AgentRequest, { kind: 'http' }>, isRepeat = false): Promise<AgentReply> {
  const isRead = wanted.method === 'GET';
  let reused = false;
  try {
    return await new Promise<AgentReply>((resolve, reject) => {
      const outgoing = request(
        wanted.url,
        {
          method: wanted.method,
          headers: headersOf(wanted),
          agent: isRead ? keptOpen : once,
          timeout: wanted.timeoutMs,
        },
        (response) =>
          collect(response).then((body) => resolve({ kind: 'http', status: response.statusCode ?? 0, body }), reject),
      );
      const timer = setTimeout(
        () => outgoing.destroy(new Error(`no answer within ${wanted.timeoutMs} ms`)),
        wanted.timeoutMs,
      );
      outgoing.once('close', () => clearTimeout(timer));
      outgoing.once('error', (error) => {
        reused = outgoing.reusedSocket;
        reject(error);
      });
      outgoing.end(wanted.body ?? undefined);
    });
  } catch (error) {
    if (isRead && reused && !isRepeat) return http(wanted, true); // a kept connection of a server that went away
    throw error;
  }
}

/** With the length of the body: for some methods Node.js does not say it by itself. */
function headersOf({ headers, body }: { headers: Record<string, string>; body?: string | null }) {
  return body ? { ...headers, 'content-length': Buffer.byteLength(body) } : headers;
}

async function collect(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return body;
}

async function query(wanted: Extract<AgentRequest, { kind: 'query' }>): Promise<AgentReply> {
  const connection = await PostgresConnection.open({ host: wanted.host, port: wanted.port }, wanted.timeoutMs);
  try {
    return { kind: 'query', rows: await connection.query(wanted.sql, wanted.timeoutMs) };
  } finally {
    connection.close();
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, ...wanted } = JSON.parse(line) as AgentRequest & { id: number };
  const answer = (reply: AgentReply) => process.stdout.write(`${JSON.stringify({ id, ...reply })}\n`);
  (wanted.kind === 'http' ? http(wanted) : query(wanted)).then(answer, (error: unknown) =>
    answer({ kind: 'error', error: error instanceof Error ? error.message || String(error) : String(error) }),
  );
});
lines.on('close', () => process.exit(0));
