import { request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { fingerprintOn } from '@understudy/platform';
import { traceparentOf } from '@understudy/telemetry';
import type { RegistrationTarget, RegistrationTransport } from './registration-client.ts';
import { accept, type Refusable, refusalCode, refuse } from './registration-refusal.ts';

const DEADLINE_MS = 10_000;
const ANSWER_BYTES_MAX = 65_536;

/**
 * Speaks to the gateway of a server whose certificate is not known yet: no authority vouches for it, so the certificate seen on the
 * socket is handed to the caller, who has it proven. Each request has its own connection and 10 s.
 */
export class HttpsRegistrationTransport implements RegistrationTransport {
  constructor(private readonly deadlineMs = DEADLINE_MS) {}

  post(
    target: RegistrationTarget,
    path: string,
    body: unknown,
  ): Promise<Refusable<{ body: unknown; fingerprint: string }>> {
    const where = `${target.address}:${target.port}`;
    const payload = Buffer.from(JSON.stringify(body));
    const traceparent = traceparentOf();
    if (!(target.port >= 1 && target.port <= 65_535))
      return Promise.resolve(refuse('unreachable', `${where}: the port is not one of 1 to 65535`));
    return new Promise((resolve) => {
      const attempt = request({
        host: target.address,
        port: target.port,
        path,
        method: 'POST',
        agent: false,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'content-length': payload.length,
          ...(traceparent === undefined ? {} : { traceparent }),
        },
      });
      const settle = (result: Refusable<{ body: unknown; fingerprint: string }>) => {
        clearTimeout(timer);
        resolve(result);
        attempt.destroy();
      };
      let hint = '';
      const timer = setTimeout(
        () => settle(refuse('timeout', `${where} did not answer within ${this.deadlineMs / 1000} s${hint}`)),
        this.deadlineMs,
      );
      attempt.on('socket', (socket) =>
        socket.once('connect', () => {
          hint =
            ', though connections open: that server hangs, or the way to it swallows large packets (look at the MTU)';
        }),
      );
      attempt.on('error', (error: NodeJS.ErrnoException) => settle(connectionFailure(where, error)));
      attempt.on('response', (response) => {
        const fingerprint = fingerprintOn(response.socket as TLSSocket);
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES_MAX) settle(stranger(where));
          else chunks.push(chunk);
        });
        response.on('error', (error: NodeJS.ErrnoException) => settle(connectionFailure(where, error)));
        response.on('end', () =>
          settle(interpret(where, response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'), fingerprint)),
        );
      });
      attempt.end(payload);
    });
  }
}

function interpret(
  where: string,
  status: number,
  text: string,
  fingerprint: string | null,
): Refusable<{ body: unknown; fingerprint: string }> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return stranger(where);
  }
  if (typeof body !== 'object' || body === null || fingerprint === null) return stranger(where);
  if (status >= 200 && status < 300) return accept({ body, fingerprint });
  const { code, detail, title } = body as Record<string, unknown>;
  if (typeof code !== 'string') return stranger(where);
  const sentence = [detail, title].find((word) => typeof word === 'string') ?? `refused with ${code}`;
  const known = refusalCode(code);
  if (known) return refuse(known, String(sentence).slice(0, 500));
  return refuse(
    status >= 500 ? 'not-ready' : 'failed',
    `${where} refused (${code}): ${String(sentence).slice(0, 500)}`,
  );
}

/** Kinds of a broken connection in the operator's words. */
function connectionFailure(where: string, error: NodeJS.ErrnoException) {
  switch (error.code) {
    case 'ECONNREFUSED':
      return refuse('unreachable', `nothing listens at ${where}: is the other server running?`);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return refuse('unreachable', `the name of ${where} is not known: check it, or give the IP address`);
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return refuse(
        'unreachable',
        `there is no way to ${where} (${error.code}): check the address, and that the server is on and no firewall is between`,
      );
    case 'ECONNRESET':
    case 'EPIPE':
      return refuse('unreachable', `${where} closed the connection`);
    default:
      if (error.code?.startsWith('ERR_SSL') || error.code === 'EPROTO' || error.code?.startsWith('HPE_'))
        return stranger(where);
      return refuse('unreachable', `${where} cannot be reached: ${error.message}`);
  }
}

function stranger(where: string) {
  return refuse('not-an-understudy', `what listens at ${where} is not the gateway of a server of this product`);
}
