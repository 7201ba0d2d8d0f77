import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createPlainServer, type Server as PlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Clock, OwnIdentity } from '@understudy/platform';
import { ensureOwnIdentity, NodePaths } from '@understudy/platform';
import fc from 'fast-check';
import { HttpsRegistrationTransport } from './https-registration-transport.adapter.ts';
import { type OwnHello, RegistrationClient, type RegistrationTransport } from './registration-client.ts';
import type { Refusable } from './registration-refusal.ts';
import {
  type AcceptedRegistration,
  type OwnRegistrationFacts,
  RegistrationResponder,
} from './registration-responder.ts';
import { newSalt, type StretchedKey, stretchKey } from './stretched-key.ts';

const KEY = 'correct horse battery';
const PORTS = { healthMonitor: 8082, fileSync: 8083, pairLink: 7422, database: 5432 };
type Post = (path: string, body: unknown) => Promise<Refusable<unknown>>;

describe('registration over HTTPS', () => {
  let directory: string;
  let alpha: OwnIdentity;
  let beta: OwnIdentity;
  let mallory: OwnIdentity;
  let key: StretchedKey;
  const servers: (Server | PlainServer)[] = [];
  let nowMs = 0;
  const clock: Clock = { nowMs: () => nowMs, unixMs: () => 0 };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'understudy-registration-'));
    const identity = async (name: string) => {
      const paths = new NodePaths(join(directory, name));
      await mkdir(paths.identity, { recursive: true });
      return await ensureOwnIdentity(paths, { name, address: '127.0.0.1' });
    };
    [alpha, beta, mallory] = [await identity('alpha'), await identity('beta'), await identity('mallory')];
    const salt = newSalt();
    key = { salt, verifier: await stretchKey(KEY, salt) };
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    nowMs = 0;
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  /** A gateway in miniature: passes the three steps on and answers with problem+json. */
  async function serve(identity: OwnIdentity, post: Post): Promise<number> {
    const server = createServer({ cert: identity.certificatePem, key: identity.privateKeyPem }, (request, response) => {
      void answer(post, request, response);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  function secondary(
    overrides: {
      facts?: Partial<OwnRegistrationFacts>;
      paired?: string;
      notReplaceable?: string;
      noVirtualIp?: string;
      untrusted?: string;
      key?: StretchedKey | null;
      fails?: boolean;
    } = {},
  ) {
    const accepted: AcceptedRegistration[] = [];
    const abandoned: string[] = [];
    const facts: OwnRegistrationFacts = {
      version: '1.2.3',
      name: 'beta',
      role: 'secondary',
      address: '10.0.0.2',
      ports: PORTS,
      certificatePem: beta.certificatePem,
      databaseVersion: '15.18',
      ...overrides.facts,
    };
    const responder = new RegistrationResponder(
      {
        self: () => facts,
        key: async () => (overrides.key === undefined ? key : overrides.key),
        alreadyPaired: () => overrides.paired ?? null,
        notReplaceable: (hello) => (hello.replacePrimary ? (overrides.notReplaceable ?? null) : null),
        untrusted: () => overrides.untrusted ?? null,
        noVirtualIp: ({ virtualIp }) => (virtualIp?.ipv4 ? (overrides.noVirtualIp ?? null) : null),
        notReady: () => null,
        accepted: async (registration) => {
          if (overrides.fails) throw new Error('the disk is full');
          accepted.push(registration);
        },
        abandoned: async (pairId) => {
          const known = accepted.some(({ peer }) => peer.pairId === pairId);
          if (known) abandoned.push(pairId);
          return known;
        },
      },
      clock,
    );
    const post: Post = async (path, body) => {
      if (path === '/api/v1/pair/hello') return await responder.hello(body, 'test');
      if (path === '/api/v1/pair/prove') return await responder.prove(body as { nonce: string; proof: string }, 'test');
      return await responder.abandon(body as { pairId: string; proof: string }, 'test');
    };
    return { responder, accepted, abandoned, post };
  }

  const hello = (): OwnHello => ({
    version: '1.2.0',
    name: 'alpha',
    role: 'primary',
    address: '10.0.0.1',
    ports: PORTS,
    certificatePem: alpha.certificatePem,
    pairId: 'pair-1',
    failoverType: 'manual',
    emailAddresses: [],
    databaseVersion: '15.3',
  });
  const register = (
    port: number,
    overrides: Partial<OwnHello> = {},
    authenticationKey = KEY,
    transport: RegistrationTransport = new HttpsRegistrationTransport(5000),
  ) =>
    new RegistrationClient(transport).register({
      address: '127.0.0.1',
      port,
      authenticationKey,
      hello: { ...hello(), ...overrides },
    });

  it('pins both certificates when both know the key', async () => {
    const peer = secondary();
    const result = await register(await serve(beta, peer.post));
    if (!result.ok) throw new Error(result.refusal.message);
    expect(result.value.peer).toMatchObject({
      name: 'beta',
      role: 'secondary',
      fingerprint: beta.fingerprint,
      pairId: 'pair-1',
      address: '10.0.0.2',
    });
    expect(result.value.key.verifier).toEqual(key.verifier);
    expect(peer.accepted).toHaveLength(1);
    expect(peer.accepted[0]?.peer).toMatchObject({
      name: 'alpha',
      role: 'primary',
      fingerprint: alpha.fingerprint,
      pairId: 'pair-1',
    });
  });

  it.each<[string, Parameters<typeof secondary>[0], Partial<OwnHello>, string, string]>([
    ['a wrong key', {}, {}, 'some other key', 'wrong-key'],
    ['a secondary that was installed as primary', { facts: { role: 'primary' } }, {}, KEY, 'wrong-role'],
    ['another version', { facts: { version: '1.3.0' } }, {}, KEY, 'wrong-version'],
    ['another PostgreSQL', { facts: { databaseVersion: '16.2' } }, {}, KEY, 'wrong-version'],
    ['the same name', { facts: { name: 'alpha' } }, {}, KEY, 'same-name'],
    ['a secondary of another pair', { paired: 'beta is paired with gamma' }, {}, KEY, 'already-paired'],
    ['a replacement', { notReplaceable: 'it is reachable' }, { replacePrimary: true }, KEY, 'not-replaceable'],
    ['a replacement with a wrong key', {}, { replacePrimary: true }, 'some other key', 'wrong-key'],
    [
      'a virtual IP that the secondary cannot hold',
      { noVirtualIp: 'beta: virtualIp.interface is missing' },
      { virtualIp: { ipv4: '10.77.0.100', ipv6: null } },
      KEY,
      'virtual-ip',
    ],
    ['a secondary that trusts given certificates only', { untrusted: 'not given' }, {}, KEY, 'untrusted-certificate'],
    ['a secondary without a key', { key: null }, {}, KEY, 'no-key'],
    ['a secondary that cannot write', { fails: true }, {}, KEY, 'failed'],
    ['no certificate', {}, { certificatePem: 'none' }, KEY, 'failed'],
  ])('refuses %s and changes nothing', async (_, overrides, difference, authenticationKey, code) => {
    const peer = secondary(overrides);
    const result = await register(await serve(beta, peer.post), difference, authenticationKey);
    expect(result.ok ? 'accepted' : result.refusal.code).toBe(code);
    expect(result.ok ? '' : result.refusal.message).not.toBe('');
    expect(peer.accepted).toEqual([]);
  });

  it('refuses a secondary whose certificate may not be pinned here, before the key is proven', async () => {
    const peer = secondary();
    const port = await serve(beta, peer.post);
    const objection = (fingerprint: string) => (fingerprint === beta.fingerprint ? 'not given' : null);
    const client = new RegistrationClient(new HttpsRegistrationTransport(5000), objection);
    const result = await client.register({ address: '127.0.0.1', port, authenticationKey: KEY, hello: hello() });
    expect(result).toEqual({ ok: false, refusal: { code: 'untrusted-certificate', message: 'not given' } });
    expect(peer.accepted).toEqual([]);
  });

  it('refuses a man in the middle who relays under his own certificate', async () => {
    const peer = secondary();
    const behind = await serve(beta, peer.post);
    const relay: Post = async (path, body) =>
      relayed(await new HttpsRegistrationTransport().post({ address: '127.0.0.1', port: behind }, path, body));
    const result = await register(await serve(mallory, relay));
    expect(result.ok ? 'accepted' : result.refusal.code).toBe('wrong-certificate');
    expect(peer.accepted).toEqual([]);
  });

  it('refuses a man in the middle who also writes his certificate into what he relays', async () => {
    const peer = secondary();
    const behind = await serve(beta, peer.post);
    const relay: Post = async (path, body) => {
      const own = path.endsWith('hello') ? { ...(body as object), certificatePem: mallory.certificatePem } : body;
      const result = relayed(
        await new HttpsRegistrationTransport().post({ address: '127.0.0.1', port: behind }, path, own),
      );
      if (!result.ok || !path.endsWith('hello')) return result;
      return { ok: true, value: { ...(result.value as object), certificatePem: mallory.certificatePem } };
    };
    const result = await register(await serve(mallory, relay));
    expect(result.ok ? 'accepted' : result.refusal.code).toBe('wrong-key');
    expect(peer.accepted).toEqual([]);
  });

  it('refuses a secondary that lets everybody in but does not know the key, and tells it to forget', async () => {
    const peer = secondary();
    const seen: string[] = [];
    const lying: Post = async (path, body) => {
      seen.push(path);
      return path.endsWith('prove') ? { ok: true, value: { proof: 'A'.repeat(43) } } : await peer.post(path, body);
    };
    const result = await register(await serve(beta, lying));
    expect(result.ok ? 'accepted' : result.refusal.code).toBe('wrong-key');
    expect(seen).toEqual(['/api/v1/pair/hello', '/api/v1/pair/prove', '/api/v1/pair/abandon']);
  });

  it('undoes a registration whose last answer got lost', async () => {
    const peer = secondary();
    const lossy: Post = async (path, body) => {
      const result = await peer.post(path, body);
      return path.endsWith('prove') ? await new Promise(() => undefined) : result;
    };
    const result = await register(await serve(beta, lossy), {}, KEY, new HttpsRegistrationTransport(4000));
    expect(result.ok ? 'accepted' : result.refusal).toEqual({
      code: 'timeout',
      message: expect.stringMatching(/^127.0.0.1:\d+ did not answer within 4 s, though connections open: /),
    });
    expect(peer.abandoned).toEqual(['pair-1']);
  });

  it('accepts a proof once, and only for 30 s', async () => {
    const peer = secondary();
    const port = await serve(beta, peer.post);
    const proofs: unknown[] = [];
    const spy: RegistrationTransport = {
      post: async (target, path, body) => {
        if (path.endsWith('prove')) proofs.push(body);
        return await new HttpsRegistrationTransport().post(target, path, body);
      },
    };
    expect((await register(port, {}, KEY, spy)).ok).toBe(true);
    const replay = await new HttpsRegistrationTransport().post(
      { address: '127.0.0.1', port },
      '/api/v1/pair/prove',
      proofs[0],
    );
    expect(replay.ok ? 'accepted' : replay.refusal.code).toBe('expired');
    const late: RegistrationTransport = {
      post: async (target, path, body) => {
        if (path.endsWith('prove')) nowMs += 30_001;
        return await new HttpsRegistrationTransport().post(target, path, body);
      },
    };
    const result = await register(port, {}, KEY, late);
    expect(result.ok ? 'accepted' : result.refusal.code).toBe('expired');
    expect(peer.accepted).toHaveLength(1);
  });

  it('slows down who guesses', async () => {
    const peer = secondary();
    const port = await serve(beta, peer.post);
    const codes: string[] = [];
    for (let guess = 0; guess < 4; guess += 1) {
      const result = await register(port, {}, `guess number ${guess}`);
      codes.push(result.ok ? 'accepted' : result.refusal.code);
    }
    expect(codes).toEqual(['wrong-key', 'wrong-key', 'wrong-key', 'too-many-attempts']);
    nowMs += 1000;
    expect((await register(port)).ok).toBe(true);
  });

  it('keeps at most 16 handshakes open, the newest', async () => {
    const { responder } = secondary();
    const nonces: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      const result = await responder.hello({ ...hello(), protocol: 1, nonce: 'n'.repeat(24) });
      if (result.ok) nonces.push(result.value.nonce);
    }
    const outcome = async (nonce: string) => {
      const result = await responder.prove({ nonce, proof: 'no proof' }, nonce);
      return result.ok ? 'accepted' : result.refusal.code;
    };
    expect(nonces).toHaveLength(20);
    expect(await outcome(nonces[3] as string)).toBe('expired');
    expect(await outcome(nonces[4] as string)).toBe('wrong-key');
    expect(await outcome(nonces[19] as string)).toBe('wrong-key');
  });

  it.each<[string, () => Promise<number>, string, RegExp]>([
    ['nothing listens', async () => 1, 'unreachable', /nothing listens at 127\.0\.0\.1:1/],
    [
      'something else speaks TLS',
      async () => await serve(mallory, async () => ({ ok: true, value: 'hello?' })),
      'not-an-understudy',
      /127\.0\.0\.1:\d+ /,
    ],
    [
      'something else speaks no TLS',
      async () => await listen((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
      'not-an-understudy',
      /127\.0\.0\.1:\d+ /,
    ],
    [
      'the connection is closed',
      async () => await listen((socket) => socket.destroy()),
      'unreachable',
      /closed the connection/,
    ],
    [
      'nobody answers',
      async () => await listen(() => undefined),
      'timeout',
      /did not answer within 5 s, though .* MTU/,
    ],
  ])('says so in one sentence when %s', async (_, target, code, message) => {
    const result = await register(await target());
    expect(result.ok ? 'accepted' : result.refusal).toEqual({ code, message: expect.stringMatching(message) });
  });

  it('never falls over, whatever is sent', async () => {
    const peer = secondary();
    const plausible = fc.record({
      protocol: fc.constant(1),
      ...Object.fromEntries(Object.keys(hello()).map((name) => [name, fc.jsonValue()])),
      nonce: fc.string(),
    });
    const nearly = fc.record({ field: fc.constantFrom(...Object.keys(hello())), value: fc.jsonValue() });
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        plausible,
        nearly,
        fc.string(),
        fc.string(),
        async (any, hi, { field, value }, nonce, proof) => {
          await peer.responder.hello(any);
          await peer.responder.hello(hi);
          await peer.responder.hello({ ...hello(), protocol: 1, nonce: 'n'.repeat(24), [field]: value });
          expect((await peer.responder.prove({ nonce, proof })).ok).toBe(false);
          expect((await peer.responder.abandon({ pairId: nonce, proof }, nonce)).ok).toBe(false);
        },
      ),
      { numRuns: 200 },
    );
    expect(peer.accepted).toEqual([]);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (first, second) => {
        const transport: RegistrationTransport = {
          post: async (_, path) => ({
            ok: true,
            value: { body: path.endsWith('hello') ? first : second, fingerprint: beta.fingerprint },
          }),
        };
        expect((await register(1, {}, KEY, transport)).ok).toBe(false);
      }),
    );
  });

  async function listen(onConnection: (socket: import('node:net').Socket) => void): Promise<number> {
    const server = createPlainServer((socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
});

/** What came back over the relay, as if the relay said it itself. */
function relayed(result: Awaited<ReturnType<RegistrationTransport['post']>>): Refusable<unknown> {
  return result.ok ? { ok: true, value: result.value.body } : result;
}

async function answer(post: Post, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const result = await post(request.url ?? '', JSON.parse(Buffer.concat(chunks).toString('utf8')));
  const body = result.ok
    ? result.value
    : { type: 'about:blank', title: 'Refused', status: 409, detail: result.refusal.message, code: result.refusal.code };
  response.writeHead(result.ok ? 200 : 409, {
    'content-type': result.ok ? 'application/json' : 'application/problem+json',
  });
  response.end(JSON.stringify(body));
}
