import { mkdirSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { isTrusted, type PeerIdentity, PeerIdentitySchema } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import {
  ensureOwnIdentity,
  fingerprintOf,
  makeIdentity,
  NodePaths,
  type OwnIdentity,
  PeerIdentityFile,
  putInUse,
  readOwnIdentity,
  readRenewal,
  SILENT_LOGGER,
  serverMark,
  writeFileAtomically,
  writeRenewal,
} from '@understudy/platform';
import { CertificateRenewal } from './certificate-renewal.ts';

class Killed extends Error {}

let directory: string;
let alpha: Server;
let beta: Server;
/** Calls between the servers, and to their disks, until the one of them at which a server is killed; infinite: none is. */
let callsLeft: number;
let isLinkUp: boolean;
/** The peer has ended a moment ago, and nobody has noticed yet. */
let isPeerDeaf: boolean;
let isGuarded: boolean;
/** Happens while a server is about to knock at the other's ports. */
let meanwhile: (knocking: Server) => Promise<unknown>;

/** Counts a call; before or after its effect the server may be killed. */
async function call<T>(perform: () => Promise<T>): Promise<T> {
  if (callsLeft-- === 0) throw new Killed();
  const result = await perform();
  if (callsLeft-- === 0) throw new Killed();
  return result;
}

/** A server of the pair: its files, and the manager that a start would make of them. */
class Server {
  readonly paths: NodePaths;
  readonly file: PeerIdentityFile<PeerIdentity>;
  readonly told: string[] = [];
  peer: PeerIdentity | null = null;
  renewal: CertificateRenewal;
  own: OwnIdentity | null = null;

  constructor(readonly name: string) {
    this.paths = new NodePaths(join(directory, name));
    mkdirSync(this.paths.identity, { recursive: true });
    this.file = new PeerIdentityFile(this.paths.peer, (value) => PeerIdentitySchema.parse(value));
    this.renewal = this.manager();
  }

  get other(): Server {
    return this === alpha ? beta : alpha;
  }

  manager(): CertificateRenewal {
    return new CertificateRenewal(
      {
        name: this.name,
        address: '127.0.0.1',
        paths: this.paths,
        peer: () => this.peer,
        isPeerReachable: () => isLinkUp,
        wouldBeTakenOver: () => isGuarded,
        repin: (change) =>
          call(async () => {
            const peer = this.peer && change(this.peer);
            if (peer === null) return false;
            await this.file.write(peer);
            this.peer = peer;
            return true;
          }),
        changed: () => undefined,
        offer: (offer) => {
          if (isPeerDeaf) throw new BusError('no-responder', 'pair.v1.command: nobody answers this', true);
          return call(() => this.other.renewal.offered(offer));
        },
        askToAdopt: (offer) => call(() => this.other.renewal.askedToAdopt(offer)),
        tell: (_, message) => void this.told.push(message),
      },
      {
        // what TLS would say, of the files as they are now
        objection: (_, own, expected) =>
          call(async () => {
            const { other } = this;
            await meanwhile(this);
            if (other.peer === null || !isTrusted(other.peer, own.fingerprint)) return 'not let in';
            const shown = await readOwnIdentity(other.paths);
            return shown !== null && expected.includes(shown.fingerprint) ? null : 'shows another certificate';
          }),
      },
      SILENT_LOGGER,
    );
  }

  /** What `node run` does at a start, and then the manager. */
  async startAgain(): Promise<void> {
    await this.renewal.stop();
    this.own = await ensureOwnIdentity(this.paths, { name: this.name, address: '127.0.0.1' });
    this.peer = await this.file.read();
    this.renewal = this.manager();
  }

  pinned({ name, own }: Server): PeerIdentity {
    const { certificatePem = '', fingerprint = '' } = own ?? {};
    const role = name === 'alpha' ? 'primary' : 'secondary';
    const ports = { healthMonitor: 1, fileSync: 2, pairLink: 3, database: 4 };
    return { name, role, address: '127.0.0.1', certificatePem, fingerprint, ports, pairId: 'pair' };
  }
}

/** Whatever has happened: each server has a certificate with its key, and the other one trusts it. */
async function expectTheyCanTalk(): Promise<void> {
  for (const server of [alpha, beta]) {
    const shown = await readOwnIdentity(server.paths);
    const peer = await server.other.file.read();
    expect(peer !== null && isTrusted(peer, shown?.fingerprint ?? null)).toBe(true);
  }
}

/** Alpha's manager was killed between the two files. Resolves with the certificate that was to come. */
async function halfInPlace(): Promise<string> {
  const { certificatePem, privateKeyPem } = await makeIdentity({ name: 'alpha', address: '127.0.0.1' });
  const formerCertificatePem = alpha.own?.certificatePem ?? '';
  await beta.file.write({
    ...beta.pinned(alpha),
    next: { certificatePem, fingerprint: fingerprintOf(certificatePem) },
  });
  await writeRenewal(alpha.paths, { certificatePem, privateKeyPem, formerCertificatePem, isInUse: true });
  await writeFileAtomically(alpha.paths.privateKey, privateKeyPem, { mode: 0o600 });
  await expect(readOwnIdentity(alpha.paths)).rejects.toThrow('do not belong together');
  return certificatePem;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-renewal-'));
  callsLeft = Number.POSITIVE_INFINITY;
  isLinkUp = true;
  isPeerDeaf = false;
  isGuarded = false;
  meanwhile = async () => undefined;
  [alpha, beta] = [new Server('alpha'), new Server('beta')];
  for (const server of [alpha, beta]) await server.startAgain();
  for (const server of [alpha, beta]) {
    await server.file.write(server.pinned(server.other));
    await server.startAgain();
  }
});
afterEach(async () => {
  for (const server of [alpha, beta]) await server.renewal.stop();
  await rm(directory, { recursive: true });
});

describe('the renewal of a certificate', () => {
  it('ends with the new one in use, the old one trusted no more, and the server still known by its first', async () => {
    const first = alpha.own;
    expect(await alpha.renewal.renew()).toEqual({ step: null, reason: null });
    const now = await readOwnIdentity(alpha.paths);
    expect(now?.fingerprint).not.toBe(first?.fingerprint);
    expect(await beta.file.read()).toEqual({
      ...beta.pinned(alpha),
      ...{ certificatePem: now?.certificatePem, fingerprint: now?.fingerprint },
    });
    expect(await readRenewal(alpha.paths)).toBeNull();
    await alpha.renewal.renew();
    expect(await serverMark(alpha.paths)).toBe(first?.certificatePem);
    await expectTheyCanTalk();
  });

  it('waits for a peer that is away, with the old one in use, and goes on when it is back', async () => {
    isLinkUp = false;
    expect(await alpha.renewal.renew()).toEqual({ step: 'offered', reason: 'beta is not reachable' });
    expect(await alpha.renewal.renew()).toMatchObject({ step: 'offered' });
    expect(await readOwnIdentity(alpha.paths)).toEqual(alpha.own);
    const { certificatePem: offered = '' } = (await readRenewal(alpha.paths)) ?? {};
    await alpha.startAgain();
    isLinkUp = true;
    await alpha.renewal.start();
    expect(await alpha.renewal.complete()).toEqual({ step: null, reason: null });
    expect((await readOwnIdentity(alpha.paths))?.certificatePem).toBe(offered);
  });

  it.each([
    ['lets the other one in', 'alpha'],
    ['is asked whether the old one can go', 'beta'],
  ])(
    'does not mistake the renewal of the other server, which ends while a server %s, for a stranger',
    async (_, at) => {
      meanwhile = async ({ name }) => {
        if (name !== at) return;
        meanwhile = async () => undefined;
        expect(await beta.renewal.renew()).toEqual({ step: null, reason: null });
      };
      expect(await alpha.renewal.renew()).toEqual({ step: null, reason: null });
      expect(alpha.told.filter((message) => message.includes('waits'))).toEqual([]);
      await expectTheyCanTalk();
    },
  );

  it('is tried by one attempt at a time, however long each takes: a stop does not wait for a queue of them', async () => {
    isLinkUp = false;
    await alpha.renewal.renew();
    isLinkUp = true;
    let knocks = 0;
    const silence = Promise.withResolvers<never>();
    silence.promise.catch(() => undefined);
    meanwhile = () => {
      knocks += 1;
      return silence.promise;
    };
    const real = ['nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask', 'performance', 'Date'] as const;
    jest.useFakeTimers({ doNotFake: [...real] });
    try {
      await alpha.startAgain();
      await alpha.renewal.start();
      jest.advanceTimersByTime(3_600_000);
      silence.reject(new Error('no answer'));
      await alpha.renewal.stop();
    } finally {
      jest.useRealTimers();
    }
    expect(knocks).toBe(1);
  });

  it('says in words of people that the peer gives no answer, before anybody knows that it is away', async () => {
    isPeerDeaf = true;
    expect(await alpha.renewal.renew()).toEqual({ step: 'offered', reason: 'beta does not answer' });
  });

  it.each(Array.from({ length: 14 }, (_, at) => at))(
    'leaves both able to talk when a server is killed at call %i, and is completed afterwards',
    async (at) => {
      const first = alpha.own?.fingerprint;
      callsLeft = at;
      await alpha.renewal.renew();
      callsLeft = Number.POSITIVE_INFINITY;
      await expectTheyCanTalk();
      for (const server of at % 2 === 0 ? [alpha, beta] : [beta, alpha]) await server.startAgain();
      await expectTheyCanTalk();
      await alpha.renewal.start();
      expect(await alpha.renewal.complete()).toEqual({ step: null, reason: null });
      await expectTheyCanTalk();
      expect((await beta.file.read())?.next).toBeUndefined();
      expect((await beta.file.read())?.fingerprint).not.toBe(first);
    },
  );

  it('is completed by the next start when it was killed between the two files', async () => {
    const certificatePem = await halfInPlace();
    for (const server of [beta, alpha]) await server.startAgain();
    expect(alpha.own?.certificatePem).toBe(certificatePem);
    await expectTheyCanTalk();
    await alpha.renewal.start();
    expect(await alpha.renewal.complete()).toEqual({ step: null, reason: null });
  });

  it('is put in its place by the next manager alone too, while the other server is away', async () => {
    const certificatePem = await halfInPlace();
    isLinkUp = false;
    alpha.renewal = alpha.manager();
    await alpha.renewal.start();
    expect((await readOwnIdentity(alpha.paths))?.certificatePem).toBe(certificatePem);
    await expectTheyCanTalk();
  });

  it('is not begun with a certificate that is for another server, or that has ended, and not for another pair', async () => {
    const offer = async (name: string, days: number, pairId = 'pair') =>
      beta.renewal.offered({
        pairId,
        certificatePem: (await makeIdentity({ name, address: 'x' }, days)).certificatePem,
      });
    expect(await offer('alpha-2', 10)).toEqual({
      accepted: false,
      reason: 'the certificate that was offered is not for alpha',
    });
    expect(await offer('alpha', -0.5)).toEqual({
      accepted: false,
      reason: 'the certificate that was offered has expired',
    });
    expect(await offer('alpha', 10, 'other')).toEqual({ accepted: false, reason: 'beta is not of that pair' });
    expect(await beta.file.read()).toEqual(beta.pinned(alpha));
    const { certificatePem } = await makeIdentity({ name: 'alpha', address: 'x' });
    expect(await beta.renewal.askedToAdopt({ pairId: 'pair', certificatePem })).toEqual({
      accepted: false,
      reason: 'beta has not been offered this certificate',
    });
  });

  it('is not begun by whoever speaks under a certificate that was forgotten', async () => {
    const forgotten = { ...beta.pinned(alpha), isForgotten: true as const };
    beta.peer = forgotten;
    const { certificatePem } = await makeIdentity({ name: 'alpha', address: 'x' });
    expect(await beta.renewal.offered({ pairId: 'pair', certificatePem })).toEqual({
      accepted: false,
      reason: 'beta has forgotten the certificate of alpha',
    });
    expect(beta.peer).toEqual(forgotten);
  });

  it('leaves the old key with the old certificate where only one of the two new ones can be written', async () => {
    const before = await readOwnIdentity(alpha.paths);
    const renewal = {
      ...(await makeIdentity({ name: 'alpha', address: 'x' })),
      formerCertificatePem: '',
      isInUse: true,
    };
    // as on a disk that the first of the two has filled
    const certificate = join(alpha.paths.identity, 'missing', 'certificate.pem');
    const paths = Object.create(alpha.paths, { certificate: { value: certificate } }) as NodePaths;
    await expect(putInUse(paths, renewal)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readOwnIdentity(alpha.paths)).toEqual(before);
    expect(readdirSync(alpha.paths.identity).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('does not wait with a certificate that has expired, when the peer is not connected under it any more', async () => {
    const expired = await makeIdentity({ name: 'alpha', address: '127.0.0.1' }, -0.5);
    await writeFileAtomically(alpha.paths.privateKey, expired.privateKeyPem, { mode: 0o600 });
    await writeFileAtomically(alpha.paths.certificate, expired.certificatePem);
    isLinkUp = false;
    // it is not shown while the peer, which does not know it, would take over from this server, which serves
    isGuarded = true;
    const reason = expect.stringContaining('First, on beta: "understudy cert forget alpha"');
    expect(await alpha.renewal.renew()).toEqual({ step: 'offered', reason });
    expect(await alpha.renewal.complete()).toEqual({ step: 'offered', reason });
    expect(alpha.told).toHaveLength(1);
    expect(await readOwnIdentity(alpha.paths)).toEqual(expired);
    isGuarded = false;
    expect(await alpha.renewal.complete()).toEqual({ step: 'in-use', reason: 'beta is not reachable' });
    const shown = await readOwnIdentity(alpha.paths);
    expect(shown?.certificatePem).not.toBe(expired.certificatePem);
    // the peer has forgotten the old one, and pinned what has proven the key
    isLinkUp = true;
    beta.peer = {
      ...beta.pinned(alpha),
      certificatePem: shown?.certificatePem ?? '',
      fingerprint: shown?.fingerprint ?? '',
    };
    expect(await alpha.renewal.complete()).toEqual({ step: null, reason: null });
  });

  it('is given up when the pair is removed first: a peer that was not told knows this server by the old one', async () => {
    isLinkUp = false;
    await alpha.renewal.renew();
    await alpha.file.remove();
    await alpha.startAgain();
    await alpha.renewal.start();
    expect(await alpha.renewal.complete()).toEqual({ step: null, reason: null });
    expect(await readOwnIdentity(alpha.paths)).toEqual(alpha.own);
    expect(await readRenewal(alpha.paths)).toBeNull();
    expect(alpha.told.at(-1)).toMatch(/^The renewal of the certificate of alpha is given up: /);
    expect(isTrusted(beta.pinned(alpha), (await readOwnIdentity(alpha.paths))?.fingerprint ?? null)).toBe(true);
  });

  it('is over at once where there is no peer', async () => {
    await alpha.file.remove();
    await alpha.startAgain();
    expect(await alpha.renewal.renew()).toEqual({ step: null, reason: null });
    expect(await readOwnIdentity(alpha.paths)).not.toEqual(alpha.own);
  });
});
