import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { PeerIdentity } from '@understudy/contracts';
import { fingerprintOn, type OwnIdentity, REPLICATION_ROLE } from '@understudy/platform';
import type { PeerDoors } from '../ports/peer-doors.port.ts';

const LIMIT_MS = 3000;
/** PostgreSQL's request for TLS, answered by `S`; and what follows within it, a login of protocol 3.0, answered by yes or no. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const LOGIN = Buffer.from(`\0\0\0\0\0\x03\0\0user\0${REPLICATION_ROLE}\0database\0postgres\0\0`);
LOGIN.writeInt32BE(LOGIN.length);

type Shown = string | null | 'absent';

/**
 * Knocks at each port of the peer as its own services do, each time on a new connection: TLS, with a certificate where one is asked for.
 * TLS 1.2 at ports that are ours alone: there the handshake ends only when both have accepted each other. PostgreSQL may be told to take
 * TLS 1.3 only, where a refusal comes after it, so there a login has to be answered.
 */
export class PeerDoorsAdapter implements PeerDoors {
  /** @param uses `dials`: this server is the one that dials the pair link, and may reach its port; `hasFileSets`: files go between the two */
  constructor(private readonly uses: { readonly dials: boolean; readonly hasFileSets: boolean }) {}

  async objection(peer: PeerIdentity, own: OwnIdentity, expected: readonly string[]): Promise<string | null> {
    const { healthMonitor, fileSync, pairLink, database } = peer.ports;
    const tls: ConnectionOptions = {
      key: own.privateKeyPem,
      cert: own.certificatePem,
      maxVersion: 'TLSv1.2',
      // who answers is compared below
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    };
    const socket = (port: number) => connect({ host: peer.address, port });
    const doors: [name: string, port: number, shown: Promise<Shown>, mayBeAbsent: boolean][] = [
      ['healthMonitor', healthMonitor, shownOn(connectTls({ ...tls, host: peer.address, port: healthMonitor })), false],
      ['database', database, shownByDatabase(socket(database), tls), true],
    ];
    const { dials, hasFileSets } = this.uses;
    if (hasFileSets) doors.push(['fileSync', fileSync, shownByFiles(peer.address, fileSync, own), true]);
    if (dials) doors.push(['pairLink', pairLink, shownAfter(socket(pairLink), tls), false]);
    const objections = await Promise.all(
      doors.map(async ([name, port, shown, mayBeAbsent]) => {
        const where = `${peer.address}:${port} (ports.${name})`;
        try {
          const fingerprint = await within(shown);
          if (fingerprint === 'absent') return mayBeAbsent ? null : `nothing listens at ${where}`;
          return expected.includes(fingerprint ?? '') ? null : `${where} shows another certificate`;
        } catch (error) {
          // what OpenSSL says is one word of several of its own
          const { reason, message } = error as Error & { reason?: string };
          return `${where}: ${reason ?? message.trim()}`;
        }
      }),
    );
    return objections.find((objection) => objection !== null) ?? null;
  }
}

async function within(shown: Promise<Shown>): Promise<Shown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  try {
    return await Promise.race([shown, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The certificate of a handshake that both sides have ended; `question`: when that has been answered. */
function shownOn(socket: TLSSocket, question?: Buffer): Promise<Shown> {
  setTimeout(() => socket.destroy(), LIMIT_MS).unref();
  return new Promise<Shown>((resolve, reject) => {
    const see = () => resolve(fingerprintOn(socket));
    if (question === undefined) socket.once('secureConnect', see);
    else socket.once('secureConnect', () => socket.write(question)).once('data', see);
    socket.once('error', (error: NodeJS.ErrnoException) => settleAbsence(error, resolve, reject));
    socket.once('close', () => reject(new Error('the connection was closed')));
  }).finally(() => socket.destroy());
}

function shownByDatabase(socket: Socket, { maxVersion: _, ...tls }: ConnectionOptions): Promise<Shown> {
  return shownAfter(socket, tls, { before: SSL_REQUEST, after: LOGIN });
}

/** The same where something is said in the clear before TLS: by us, answered by a byte `S`, or by the other side. */
function shownAfter(
  socket: Socket,
  tls: ConnectionOptions,
  questions?: { readonly before: Buffer; readonly after: Buffer },
): Promise<Shown> {
  setTimeout(() => socket.destroy(), LIMIT_MS).unref();
  return new Promise<Shown>((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => settleAbsence(error, resolve, reject));
    socket.once('close', () => reject(new Error('the connection was closed')));
    if (questions) socket.once('connect', () => socket.write(questions.before));
    socket.once('data', (said: Buffer) => {
      if (questions && said.toString('latin1') !== 'S') return reject(new Error('it does not offer TLS'));
      shownOn(connectTls({ ...tls, socket }), questions?.after).then(resolve, reject);
    });
  }).finally(() => socket.destroy());
}

/** It takes TLS 1.3 only, where a refusal comes after the handshake: so a whole request has to be answered. */
function shownByFiles(host: string, port: number, { privateKeyPem, certificatePem }: OwnIdentity): Promise<Shown> {
  return new Promise<Shown>((resolve, reject) => {
    const attempt = request({
      host,
      port,
      path: '/',
      agent: false,
      timeout: LIMIT_MS,
      key: privateKeyPem,
      cert: certificatePem,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    attempt.once('timeout', () => attempt.destroy());
    attempt.once('error', (error: NodeJS.ErrnoException) => settleAbsence(error, resolve, reject));
    attempt.once('response', (response) => {
      if (response.statusCode === 403) reject(new Error('it does not take this certificate for the one of its peer'));
      else resolve(fingerprintOn(response.socket as TLSSocket));
      attempt.destroy();
    });
    attempt.end();
  });
}

function settleAbsence(
  error: NodeJS.ErrnoException,
  resolve: (shown: Shown) => void,
  reject: (error: Error) => void,
): void {
  if (error.code === 'ECONNREFUSED') resolve('absent');
  else reject(error);
}
