import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type PeerIdentity, PeerIdentitySchema, type RecognitionQuestion } from '@understudy/contracts';
import {
  makeIdentity,
  NodePaths,
  type OwnIdentity,
  PeerIdentityFile,
  SILENT_LOGGER,
  SystemClock,
} from '@understudy/platform';
import { shownCertificate } from '../adapters/shown-certificate.adapter.ts';
import { AttemptLimiter, HttpsRegistrationTransport, type StretchedKey, stretchNewKey } from '../registration/index.ts';
import { CertificateTrust } from './certificate-trust.ts';
import { PeerRecognition } from './peer-recognition.ts';

// stretching a key is slow on purpose
jest.setTimeout(30_000);

let directory: string;
let key: StretchedKey;
let otherKey: StretchedKey;
const closers: (() => void)[] = [];

/** A server whose gateway listens with real TLS; `shows`: a certificate of somebody who passes everything on to it. */
async function server(name: 'alpha' | 'beta', itsKey: StretchedKey, shows?: OwnIdentity) {
  const paths = new NodePaths(join(directory, `${name}-${Math.random()}`));
  mkdirSync(paths.identity, { recursive: true });
  const own = await makeIdentity({ name, address: '127.0.0.1' });
  const file = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const state = {
    peer: null as PeerIdentity | null,
    link: 'lost' as 'unknown' | 'up' | 'lost',
    told: [] as string[],
    asked: 0,
  };
  const surroundings = {
    name,
    paths,
    ownCertificate: async () => own.certificatePem,
    peer: () => state.peer,
    isPeerReachable: () => state.link === 'up',
    peerLink: () => state.link,
    repin: async (change: (peer: PeerIdentity) => PeerIdentity | null) => {
      const peer = state.peer && change(state.peer);
      if (peer === null) return false;
      await file.write(peer);
      state.peer = await file.read();
      return true;
    },
    tell: (_: string, message: string) => void state.told.push(message),
  };
  const trust = new CertificateTrust(surroundings, SILENT_LOGGER);
  await trust.load();
  const recognition = new PeerRecognition(
    surroundings,
    trust,
    { read: async () => itsKey },
    shownCertificate,
    new HttpsRegistrationTransport(),
    new AttemptLimiter(),
    new SystemClock(),
    SILENT_LOGGER,
  );
  const { certificatePem: cert, privateKeyPem } = shows ?? own;
  const gateway: HttpsServer = createServer({ cert, key: privateKeyPem }, async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    state.asked += 1;
    const answer = await recognition.asked(JSON.parse(text) as RecognitionQuestion);
    response.writeHead(answer.ok ? 200 : 403, { 'content-type': 'application/json' });
    const { code, message: detail } = answer.ok ? { code: '', message: '' } : answer.refusal;
    response.end(JSON.stringify(answer.ok ? answer.value : { code, detail }));
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  closers.push(
    () => gateway.closeAllConnections(),
    () => gateway.close(),
  );
  const { port } = gateway.address() as AddressInfo;
  return { name, own, port, state, trust, recognition, file, surroundings };
}

type Known = Awaited<ReturnType<typeof server>>;

async function pin(
  one: Known,
  { name, port }: Pick<Known, 'name' | 'port'>,
  { certificatePem, fingerprint }: OwnIdentity,
): Promise<void> {
  const role = name === 'alpha' ? 'primary' : 'secondary';
  const ports = { healthMonitor: port, fileSync: 2, pairLink: 3, database: 4 };
  one.state.peer = { name, role, address: '127.0.0.1', certificatePem, fingerprint, ports, pairId: 'pair' };
  await one.file.write(one.state.peer);
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-recognition-'));
  key ??= await stretchNewKey('Correct-Horse-7-Battery');
  otherKey ??= await stretchNewKey('Another-Horse-8-Battery');
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
  rmSync(directory, { recursive: true });
});

/** alpha pins a certificate that beta does not have any more. */
async function strangers(keyOfBeta = key, shows?: OwnIdentity) {
  const [alpha, beta] = [await server('alpha', key), await server('beta', keyOfBeta, shows)];
  const old = await makeIdentity({ name: 'beta', address: '127.0.0.1' });
  await pin(alpha, beta, old);
  await pin(beta, alpha, alpha.own);
  return { alpha, beta, old };
}

describe('a peer with another certificate than the pinned one', () => {
  it('is told of once, and asked nothing, as long as the pinned one is not forgotten', async () => {
    const { alpha, beta, old } = await strangers();
    await alpha.recognition.look();
    await alpha.recognition.look();
    expect(alpha.state.told).toEqual([expect.stringContaining(`shows the certificate ${beta.own.fingerprint}, not`)]);
    expect(alpha.state.told[0]).toContain(`"understudy cert forget 127.0.0.1_${beta.port}"`);
    expect((await alpha.file.read())?.fingerprint).toBe(old.fingerprint);
    expect(beta.state.asked).toBe(0);
  });

  it('is pinned when the old one is forgotten and it has proven the key; both may have forgotten', async () => {
    const { alpha, beta } = await strangers();
    const { next } = await alpha.trust.forget('127.0.0.1');
    expect(next).toContain('until what answers at');
    expect(await alpha.file.read()).toMatchObject({ isForgotten: true });
    expect((await alpha.trust.forget(null)).next).toBe(next);
    await beta.trust.forget('alpha');
    expect([alpha, beta].map(({ recognition }) => recognition.isForgottenByPeer)).toEqual([false, false]);
    for (const each of [alpha, beta]) await each.recognition.look();
    expect(await alpha.file.read()).toEqual({ ...alpha.state.peer, fingerprint: beta.own.fingerprint });
    expect((await alpha.file.read())?.isForgotten).toBeUndefined();
    expect((await beta.file.read())?.fingerprint).toBe(alpha.own.fingerprint);
    expect([alpha, beta].map(({ recognition }) => recognition.isForgottenByPeer)).toEqual([true, true]);
    expect(alpha.state.told.at(-1)).toBe(
      `beta has proven the authentication key: its certificate ${beta.own.fingerprint} is pinned.`,
    );
  });

  it('is not pinned without the key, nor when somebody stands between who passes everything on', async () => {
    const without = await strangers(otherKey);
    await without.alpha.trust.forget(null);
    await without.alpha.recognition.look();
    expect(without.alpha.state.told.at(-1)).toContain('beta has another authentication key');
    expect(await without.alpha.file.read()).toMatchObject({ isForgotten: true });

    const between = await strangers(key, await makeIdentity({ name: 'beta', address: '127.0.0.1' }));
    await between.alpha.trust.forget(null);
    await between.alpha.recognition.look();
    expect(between.beta.state.asked).toBe(1);
    expect(await between.alpha.file.read()).toMatchObject({ isForgotten: true });
  });

  it('is not this server itself, to whose own gateway the address leads', async () => {
    const alpha = await server('alpha', key);
    await pin(alpha, { name: 'beta', port: alpha.port }, await makeIdentity({ name: 'beta', address: '127.0.0.1' }));
    await alpha.trust.forget(null);
    await alpha.recognition.look();
    expect(alpha.state.told.at(-1)).toContain('is not taken for beta: it is alpha itself');
    expect(await alpha.file.read()).toMatchObject({ isForgotten: true });
  });

  it('has to be given by its fingerprint as well in mode pinned', async () => {
    const { alpha, beta } = await strangers();
    await alpha.trust.setMode('pinned');
    await alpha.trust.forget(null);
    await alpha.recognition.look();
    expect(alpha.state.told.at(-1)).toContain(`"understudy cert pin ${beta.own.fingerprint}" here`);
    expect(await alpha.file.read()).toMatchObject({ isForgotten: true });
    await alpha.trust.give(beta.own.fingerprint);
    const afterRestart = new CertificateTrust(alpha.surroundings, SILENT_LOGGER);
    await afterRestart.load();
    expect(afterRestart.objection(beta.own.fingerprint)).toBeNull();
    await alpha.recognition.look();
    expect((await alpha.file.read())?.fingerprint).toBe(beta.own.fingerprint);
  });

  it('cannot be forgotten while it is or may be connected, nor under another name, nor where there is none', async () => {
    const { alpha, beta } = await strangers();
    for (const link of ['up', 'unknown'] as const) {
      alpha.state.link = link;
      await expect(alpha.trust.forget(`127.0.0.1_${beta.port}`)).rejects.toMatchObject({ code: 'not-allowed' });
    }
    alpha.state.link = 'lost';
    await expect(alpha.trust.forget('10.0.0.9_8082')).rejects.toMatchObject({ code: 'not-found' });
    alpha.state.peer = null;
    await expect(alpha.trust.forget(null)).rejects.toMatchObject({ code: 'not-found' });
  });
});
