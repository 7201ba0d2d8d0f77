import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Clock, ensureOwnIdentity, NodePaths, type OwnIdentity } from '@understudy/platform';
import { AttemptLimiter } from './attempt-limiter.ts';
import { Bearers } from './bearers.ts';
import { HttpsRegistrationTransport } from './https-registration-transport.adapter.ts';
import { MeetingClient } from './meeting-client.ts';
import { MeetingResponder } from './meeting-responder.ts';
import type { Refusable } from './registration-refusal.ts';
import type { OwnRegistrationFacts } from './registration-responder.ts';
import { newSalt, type StretchedKey, stretchKey } from './stretched-key.ts';

const KEY = 'correct horse battery';
const PORTS = { healthMonitor: 8082, fileSync: 8083, pairLink: 7422, database: 5432 };
type Post = (path: string, body: unknown) => Promise<Refusable<unknown>>;

describe('meeting for readiness checks, over HTTPS', () => {
  let directory: string;
  let [alpha, beta, mallory]: OwnIdentity[] = [];
  let key: StretchedKey;
  const servers: Server[] = [];
  let nowMs = 0;
  const clock: Clock = { nowMs: () => nowMs, unixMs: () => 0 };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'understudy-meeting-'));
    [alpha, beta, mallory] = await Promise.all(
      ['alpha', 'beta', 'mallory'].map(async (name) => {
        const paths = new NodePaths(join(directory, name));
        await mkdir(paths.identity, { recursive: true });
        return ensureOwnIdentity(paths, { name, address: '127.0.0.1' });
      }),
    );
    const salt = newSalt();
    key = { salt, verifier: await stretchKey(KEY, salt) };
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    nowMs = 0;
  });
  afterAll(async () => rm(directory, { recursive: true, force: true }));

  const facts = (name: string, role: 'primary' | 'secondary', identity: OwnIdentity | undefined) => ({
    ...{ name, role, version: '1.2.3', address: '10.0.0.1', ports: PORTS, databaseVersion: '15.18' },
    certificatePem: identity?.certificatePem ?? '',
  });

  async function serve(identity: OwnIdentity | undefined, post: Post): Promise<number> {
    const options = { cert: identity?.certificatePem, key: identity?.privateKeyPem };
    const server = createServer(options, (request, response) => void answer(post, request, response));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  function secondary(limiter = new AttemptLimiter(), differs: Partial<OwnRegistrationFacts> = {}) {
    const bearers = new Bearers(clock);
    const self = { ...facts('beta', 'secondary', beta), ...differs };
    const responder = new MeetingResponder({ self: () => self, key: async () => key }, bearers, clock, limiter);
    const post: Post = async (path, body) =>
      path.endsWith('/hello') ? responder.hello(body) : responder.prove(body as { nonce: string; proof: string });
    return { bearers, post };
  }

  async function meet(port: number, authenticationKey = KEY) {
    const bearers = new Bearers(clock);
    const client = new MeetingClient(new HttpsRegistrationTransport(5000), bearers);
    const target = { address: '127.0.0.1', port };
    const result = await client.meet({ ...target, authenticationKey, self: facts('alpha', 'primary', alpha) });
    return { result, bearers };
  }

  it('makes one ticket on both sides, by which each knows the other, for a minute', async () => {
    const peer = secondary();
    const { result, bearers } = await meet(await serve(beta, peer.post));
    if (!result.ok) throw new Error(result.refusal.message);
    const { candidate, ticket } = result.value;
    expect(candidate).toMatchObject({ name: 'beta', address: '127.0.0.1', fingerprint: beta?.fingerprint });
    expect(bearers.of(ticket)).toEqual(candidate);
    expect(peer.bearers.of(ticket)).toMatchObject({ name: 'alpha', fingerprint: alpha?.fingerprint });
    nowMs += 60_001;
    expect([bearers.of(ticket), peer.bearers.of(ticket), peer.bearers.of('x'.repeat(43))]).toEqual([null, null, null]);
  });

  it('comes about whatever the versions are: to show that is what the checks are for', async () => {
    const peer = secondary(new AttemptLimiter(), { version: '2.0.0', databaseVersion: '13.1' });
    expect((await meet(await serve(beta, peer.post))).result.ok).toBe(true);
  });

  it('refuses a server of the same role', async () => {
    const peer = secondary(new AttemptLimiter(), { role: 'primary' });
    const { result } = await meet(await serve(beta, peer.post));
    expect(result.ok ? '' : result.refusal).toMatchObject({ code: 'wrong-role' });
  });

  it('refuses wrong keys, and makes them wait longer and longer, here and at a registration', async () => {
    const limiter = new AttemptLimiter();
    const peer = secondary(limiter);
    const port = await serve(beta, peer.post);
    const code = async (authenticationKey: string) => {
      const { result } = await meet(port, authenticationKey);
      return result.ok ? 'met' : result.refusal.code;
    };
    for (let count = 0; count < 11; count++) expect(await code('wrong')).toBe('wrong-key');
    expect(await code(KEY)).toBe('too-many-attempts');
    nowMs += 1001;
    expect(await code('wrong')).toBe('wrong-key');
    nowMs += 1001;
    expect(await code(KEY)).toBe('too-many-attempts');
    nowMs += 1000;
    expect(await code(KEY)).toBe('met');
    expect(limiter.waitMs(null, nowMs)).toBe(0);
  });

  it('refuses a man in the middle, who also writes his certificate into what he relays', async () => {
    for (const lies of [false, true]) {
      const peer = secondary();
      const behind = await serve(beta, peer.post);
      const relay: Post = async (path, body) => {
        const result = await new HttpsRegistrationTransport().post({ address: '127.0.0.1', port: behind }, path, body);
        if (!result.ok) return result;
        const { certificatePem } = mallory ?? {};
        const own = lies && path.endsWith('/hello') ? { certificatePem } : {};
        return { ok: true, value: { ...(result.value.body as object), ...own } };
      };
      const { result } = await meet(await serve(mallory, relay));
      expect(result.ok ? 'met' : result.refusal.code).toBe(lies ? 'wrong-key' : 'wrong-certificate');
    }
  });

  it('takes each proof once', async () => {
    const peer = secondary();
    const seen: unknown[] = [];
    const port = await serve(beta, async (path, body) => {
      if (path.endsWith('/prove')) seen.push(body);
      return peer.post(path, body);
    });
    await meet(port);
    const again = await peer.post('/prove', seen[0]);
    expect(again.ok ? 'met' : again.refusal.code).toBe('expired');
  });
});

async function answer(post: Post, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const result = await post(request.url ?? '', JSON.parse(Buffer.concat(chunks).toString('utf8')));
  const refused = result.ok ? null : { detail: result.refusal.message, code: result.refusal.code };
  response.writeHead(result.ok ? 200 : 409, { 'content-type': 'application/json' });
  response.end(JSON.stringify(result.ok ? result.value : refused));
}
