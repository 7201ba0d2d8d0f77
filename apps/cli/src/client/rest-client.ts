import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { CliError, EXIT } from '../cli-error.ts';

const ANSWER_MS = 20_000;

/** How to reach a server and how to know that it is the one. */
export interface Endpoint {
  /** For messages: `alpha (https://10.77.0.1:8082)`. */
  readonly title: string;
  readonly host: string;
  readonly port: number;
  /** PEM of certificates to trust; absent: those the system trusts. */
  readonly ca?: string;
  /** SHA-256 of the certificates that are right, as `AB:CD:...`; neither their names nor their dates matter then. */
  readonly pinnedFingerprints?: readonly string[];
  /** Trusts whoever answers. */
  readonly isInsecure?: boolean;
}

/** A refusal of the server, with the status and the code of its problem. */
export class RefusedError extends CliError {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
  ) {
    super(code === 'unavailable' ? EXIT.unreachable : status === 422 ? EXIT.usage : EXIT.refused, message);
  }
}

/** Somebody answers there who is not known to be the server that is meant. */
export class UntrustedError extends CliError {}

/** Speaks REST with one server. */
export class RestClient {
  constructor(
    readonly endpoint: Endpoint,
    private token: string | null,
  ) {}

  get<T>(path: string): Promise<T> {
    return this.ask<T>('GET', path);
  }

  /** One request below /api/v1. A CliError with exit code 3 when there is no answer, 1 when it is refused. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const incoming = await this.open(method, `/api/v1${path}`, body);
    const text = await textOf(incoming, this.endpoint);
    const status = incoming.statusCode ?? 0;
    const json = parsed(text);
    if (status >= 200 && status < 300) return json as T;
    throw refusal(status, json, this.endpoint);
  }

  /** Signs in with the authentication key; from then on requests carry the session. */
  async signIn(authenticationKey: string): Promise<void> {
    const { token } = await this.ask<{ token: string }>('POST', '/auth/login', { authenticationKey });
    this.token = token;
  }

  async signOut(): Promise<void> {
    await this.ask('POST', '/auth/logout', {}).catch(() => undefined);
  }

  /** An answer that goes on: resolves to the open stream, which has no deadline of its own. */
  async stream(path: string, headers: Record<string, string>): Promise<IncomingMessage> {
    const incoming = await this.open('GET', `/api/v1${path}`, undefined, headers);
    if (incoming.statusCode === 200) {
      incoming.socket.setTimeout(0);
      return incoming;
    }
    throw refusal(incoming.statusCode ?? 0, parsed(await textOf(incoming, this.endpoint)), this.endpoint);
  }

  private async open(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const { host, port } = this.endpoint;
    const options: RequestOptions = {
      host,
      port,
      method,
      path,
      timeout: ANSWER_MS,
      ...(await connection(this.endpoint)),
      headers: {
        accept: 'application/json',
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
    };
    return new Promise((resolve, reject) => {
      const outgoing = request(options, resolve);
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)));
      outgoing.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(error, this.endpoint)));
      outgoing.end(payload);
    });
  }
}

/** How a request connects. Nothing is sent before it is known who answers. */
async function connection(endpoint: Endpoint): Promise<RequestOptions> {
  const { ca, pinnedFingerprints, isInsecure } = endpoint;
  if (isInsecure) return { agent: false, rejectUnauthorized: false };
  if (pinnedFingerprints === undefined) return { agent: false, ...(ca === undefined ? {} : { ca }) };
  const socket = await pinnedSocket(endpoint, pinnedFingerprints);
  return { createConnection: () => socket };
}

/** The certificate itself is known, and its key is proven by the handshake: one that has expired has to let its own server be mended. */
function pinnedSocket(endpoint: Endpoint, pinnedFingerprints: readonly string[]): Promise<TLSSocket> {
  const { host, port } = endpoint;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: ANSWER_MS });
    const fail = (error: Error) => {
      socket.destroy();
      reject(unreachable(error, endpoint));
    };
    socket.once('error', fail);
    socket.once('timeout', () => fail(new Error(`no answer within ${ANSWER_MS / 1000} s`)));
    socket.once('secureConnect', () => {
      if (!pinnedFingerprints.includes(socket.getPeerCertificate().fingerprint256))
        return fail(
          Object.assign(new Error('the certificate is not the one in this server’s data directory'), STRANGER),
        );
      socket.removeAllListeners('timeout').off('error', fail);
      resolve(socket);
    });
  });
}

async function textOf(incoming: IncomingMessage, endpoint: Endpoint): Promise<string> {
  let text = '';
  incoming.setEncoding('utf8');
  try {
    for await (const chunk of incoming) text += chunk;
  } catch (error) {
    throw unreachable(error as Error, endpoint);
  }
  return text;
}

function refusal(status: number, json: unknown, { title }: Endpoint): RefusedError {
  const problem = (json ?? {}) as { detail?: string; title?: string; code?: string };
  const reason = problem.detail ?? problem.title ?? `${title} answered with status ${status}`;
  return new RefusedError(reason, status, problem.code ?? '');
}

/** As Node.js marks what is wrong with a certificate. */
const STRANGER = { code: 'CERT_UNTRUSTED' };
const SELF_SIGNED = new Set(['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN']);
const OF_CERTIFICATES = /CERT|LEAF_SIGNATURE/;

const PLAIN: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; is "understudy node run" running?',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ECONNRESET: 'the connection was closed',
  ETIMEDOUT: 'no answer',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is not for that address, as with a virtual IP; give the address of the server itself, or use --insecure',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted; name it with --ca FILE, or use --insecure',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted; name it with --ca FILE, or use --insecure',
};

function unreachable({ code = '', message }: NodeJS.ErrnoException, { title, ca }: Endpoint): CliError {
  const Kind = OF_CERTIFICATES.test(code) ? UntrustedError : CliError;
  // one was named, and it has another since: it was renewed, or the file is of the other server
  const isOther = ca !== undefined && SELF_SIGNED.has(code);
  const reason = isOther
    ? 'the file of --ca does not hold its certificate; take its identity/certificate.pem'
    : PLAIN[code];
  return new Kind(EXIT.unreachable, `${title} is not reachable: ${reason ?? message}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
