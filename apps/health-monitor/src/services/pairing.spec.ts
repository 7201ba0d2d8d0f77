import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type PeerIdentity, PeerIdentitySchema, type RegistrationHello } from '@understudy/contracts';
import type { ServerRecord } from '@understudy/ha-core';
import type { EffectContext } from '@understudy/ha-runtime';
import { NodePaths, PeerIdentityFile, type ServiceEnvironment, SILENT_LOGGER, SystemClock } from '@understudy/platform';
import type { ReplicationSource } from '../ports/replication-source.port.ts';
import type { AuthenticationKeyStore, RegistrationClient } from '../registration/index.ts';
import { Pairing } from './pairing.ts';

const PEER: PeerIdentity = {
  name: 'alpha',
  role: 'primary',
  address: '10.77.0.1',
  certificatePem: 'old',
  fingerprint: '0'.repeat(64),
  ports: { healthMonitor: 1, fileSync: 2, pairLink: 3, database: 4 },
  pairId: 'pair',
};

let directory: string;
let file: PeerIdentityFile<PeerIdentity>;
let pairing: Pairing;
let onRegister: () => Awaited<ReturnType<RegistrationClient['register']>>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-pairing-'));
  const paths = new NodePaths(directory);
  mkdirSync(paths.identity, { recursive: true });
  file = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
  const configuration = {
    node: { name: 'beta', role: 'secondary', address: '10.77.0.2' },
    ports: { healthMonitor: 8082 },
  };
  pairing = new Pairing(
    { paths, configuration, logger: SILENT_LOGGER, clock: new SystemClock() } as unknown as ServiceEnvironment,
    { certificatePem: '', databaseVersion: '15.1' },
    file,
    { store: async () => undefined } as unknown as AuthenticationKeyStore,
    { register: async () => onRegister() } as unknown as RegistrationClient,
    { prepareSource: async () => undefined } as unknown as ReplicationSource,
  );
  await pairing.accept(PEER, { emailAddresses: [] } as unknown as RegistrationHello);
});
afterEach(() => rmSync(directory, { recursive: true }));

const renewed = (peer: PeerIdentity) => ({ ...peer, certificatePem: 'new', fingerprint: '1'.repeat(64) });

it('a peer is pinned with another certificate, on disk before anybody is told', async () => {
  const told: (PeerIdentity | null)[] = [];
  pairing.onChange = () => void told.push(pairing.peer);
  expect(await pairing.repin(renewed)).toBe(true);
  expect(await file.read()).toEqual(renewed(PEER));
  expect(told).toEqual([renewed(PEER)]);
  expect(await pairing.repin(() => null)).toBe(false);
});

it('a peer that is removed does not come back with a certificate that it was renewing', async () => {
  const changes = [pairing.repin(renewed), pairing.unpin(), pairing.repin(renewed)];
  expect(await Promise.all(changes)).toEqual([true, undefined, false]);
  expect(await file.read()).toBeNull();
  expect(pairing.peer).toBeNull();
});

it('of settings that change at the same time none is lost', async () => {
  const virtualIp = { ipv4: '10.77.0.30', ipv6: null };
  await Promise.all([
    pairing.noteVirtualIp({ ...virtualIp, change: 1 }),
    pairing.changeEmailAddresses(['operator@example.org']),
  ]);
  expect(pairing.view({ pairId: 'pair', failoverType: 'manual' } as ServerRecord)).toMatchObject({
    virtualIp,
    emailAddresses: ['operator@example.org'],
  });
});

it.each([
  ['comes about', false],
  ['fails where the certificate, which the other server has pinned, was renewed meanwhile', true],
])('a registration %s', async (_, isRenewed) => {
  onRegister = () => {
    if (isRenewed) pairing.ownCertificate = 'another';
    const key = { salt: Buffer.alloc(16), verifier: Buffer.alloc(32) };
    return { ok: true, value: { peer: PEER, key } } as unknown as ReturnType<typeof onRegister>;
  };
  pairing.remember('o', {
    pairId: 'pair',
    secondaryAddress: '10.77.0.1',
    authenticationKey: 'Correct-Horse-7-Battery',
    failoverType: 'manual',
    emailAddresses: [],
    virtualIp: { ipv4: null, ipv6: null },
    replacesPrimary: false,
  });
  const context = { progress: () => undefined, signal: new AbortController().signal } as unknown as EffectContext;
  const registered = pairing.register(context, 'o');
  if (isRenewed) await expect(registered).rejects.toMatchObject({ code: 'interrupted' });
  else await registered;
});
