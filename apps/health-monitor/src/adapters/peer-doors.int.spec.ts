import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PeerIdentity } from '@understudy/contracts';
import { freePorts, makeIdentity, type OwnIdentity } from '@understudy/platform';
import { PeerDoorsAdapter } from './peer-doors.adapter.ts';

const ADDRESS = '127.0.0.1';
const EVERYWHERE = { dials: true, hasFileSets: true };
let own: OwnIdentity;
let renewed: OwnIdentity;
let peer: OwnIdentity;
let renewedPeer: OwnIdentity;
const closers: (() => void)[] = [];

beforeAll(async () => {
  const make = (name: string) => makeIdentity({ name, address: ADDRESS });
  [own, renewed, peer, renewedPeer] = await Promise.all([make('alpha'), make('alpha'), make('beta'), make('beta')]);
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Shape {
  /** What the peer shows, and whom it lets in. */
  readonly shows: OwnIdentity;
  readonly trusts: readonly OwnIdentity[];
  readonly hasDatabase: boolean;
  readonly hasFiles: boolean;
  /** What an operator has set for PostgreSQL. */
  readonly minVersion?: 'TLSv1.3';
}

/** Every port of a peer, each with its own way to TLS. */
async function ports({ shows, trusts, hasDatabase, hasFiles, minVersion = undefined }: Shape): Promise<PeerIdentity> {
  const mutual = {
    key: shows.privateKeyPem,
    cert: shows.certificatePem,
    ca: trusts.map(({ certificatePem }) => certificatePem),
    requestCert: true,
    rejectUnauthorized: true,
  };
  const within = createTlsServer({ ...mutual, ...(minVersion && { minVersion }) }, (socket) => {
    socket.on('error', () => socket.destroy());
    // a login that is refused is answered too
    socket.once('data', (login) => login.readInt32BE() === login.length && socket.end('E'));
  });
  const postgresql = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .once('data', () => {
        socket.write('S');
        within.emit('connection', socket);
      });
  });
  const gateway = createTlsServer({ key: shows.privateKeyPem, cert: shows.certificatePem });
  const files = createHttpsServer({ ...mutual, minVersion: 'TLSv1.3' }, (_, response) => response.writeHead(409).end());
  for (const server of [within, gateway, files]) server.on('tlsClientError', () => undefined);
  const port = async (server: Server, isThere: boolean) => {
    await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
    const { port: number } = server.address() as AddressInfo;
    if (isThere) closers.push(() => server.close());
    else await new Promise((resolve) => server.close(resolve));
    return number;
  };
  const { certificatePem, fingerprint } = peer;
  return {
    name: 'beta',
    role: 'secondary',
    address: ADDRESS,
    certificatePem,
    fingerprint,
    pairId: 'pair',
    ports: {
      healthMonitor: await port(gateway, true),
      fileSync: await port(files, hasFiles),
      pairLink: await natsLeafPort(mutual),
      database: await port(postgresql, hasDatabase),
    },
  };
}

/** A real NATS that lets in whom it trusts, as the pair link does. */
async function natsLeafPort({ key, cert, ca }: { key: string; cert: string; ca: string[] }): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-doors-'));
  const file = (name: string, content: string) => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return JSON.stringify(join(directory, name));
  };
  const [client = 0, leaf = 0] = await freePorts(2, ADDRESS);
  const own = file('own.pem', cert + key);
  const tls = `cert_file: ${own}, key_file: ${own}, ca_file: ${file('peer.pem', ca.join(''))}, verify: true`;
  const text = `listen: "${ADDRESS}:${client}"\nleafnodes { listen: "${ADDRESS}:${leaf}", tls { ${tls} } }`;
  file('nats.conf', text);
  const nats = spawn('nats-server', ['-c', join(directory, 'nats.conf')], { stdio: 'ignore' });
  closers.push(
    () => nats.kill('SIGKILL'),
    () => rmSync(directory, { recursive: true }),
  );
  for (let attempt = 0; attempt < 100 && !(await listens(leaf)); attempt++) await delay(50);
  return leaf;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: ADDRESS, port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

describe('the doors of the peer', () => {
  const whole = { hasDatabase: true, hasFiles: true };
  const knock = (at: PeerIdentity, as: OwnIdentity, expected: OwnIdentity[]) =>
    new PeerDoorsAdapter(EVERYWHERE).objection(
      at,
      as,
      expected.map(({ fingerprint }) => fingerprint),
    );

  it('are open to the old and to the new certificate while both are trusted', async () => {
    const at = await ports({ shows: peer, trusts: [own, renewed], ...whole });
    expect(await knock(at, own, [peer])).toBeNull();
    expect(await knock(at, renewed, [peer, renewedPeer])).toBeNull();
    expect(await knock(at, own, [renewedPeer])).toContain('shows another certificate');
  });

  it('are told apart where PostgreSQL is to take TLS 1.3 only', async () => {
    const at = await ports({ shows: peer, trusts: [own], ...whole, minVersion: 'TLSv1.3' });
    expect(await knock(at, own, [peer])).toBeNull();
    const { database } = at.ports;
    const others = await ports({ shows: peer, trusts: [own, renewed], ...whole });
    const mixed = { ...others, ports: { ...others.ports, database } };
    expect(await knock(mixed, own, [peer])).toBeNull();
    expect(await knock(mixed, renewed, [peer])).toMatch(/\(ports\.database\): .*(unknown ca|certificate|closed)/);
  });

  it('are named when one does not let this server in', async () => {
    const at = await ports({ shows: renewedPeer, trusts: [own], ...whole });
    expect(await knock(at, renewed, [renewedPeer])).toMatch(
      /^127\.0\.0\.1:\d+ \(ports\.(fileSync|database|pairLink)\): /,
    );
    expect(await knock(at, own, [renewedPeer])).toBeNull();
  });

  it('need not be there where a part of the peer does not run; the pair link is knocked at by the one that dials it', async () => {
    const at = await ports({ shows: peer, trusts: [own], hasDatabase: false, hasFiles: false });
    expect(await knock(at, own, [peer])).toBeNull();
    expect(
      await new PeerDoorsAdapter({ ...EVERYWHERE, dials: false }).objection(at, renewed, [peer.fingerprint]),
    ).toBeNull();
    expect(await knock(at, renewed, [peer])).toMatch(/\(ports\.pairLink\)/);
    const nobody = { ...at, ports: { ...at.ports, healthMonitor: at.ports.database } };
    expect(await knock(nobody, own, [peer])).toMatch(/^nothing listens at 127\.0\.0\.1:\d+ \(ports\.healthMonitor\)$/);
  });

  it('are not knocked at where files would come from when there are no file sets: a firewall may drop what is sent there', async () => {
    const at = await ports({ shows: peer, trusts: [own], ...whole });
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, ADDRESS, resolve));
    closers.push(() => silent.close());
    const closed = { ...at, ports: { ...at.ports, fileSync: (silent.address() as AddressInfo).port } };
    expect(await knock(closed, own, [peer])).toMatch(/\(ports\.fileSync\): no answer within 3 s/);
    const without = new PeerDoorsAdapter({ ...EVERYWHERE, hasFileSets: false });
    expect(await without.objection(closed, own, [peer.fingerprint])).toBeNull();
  });
});
