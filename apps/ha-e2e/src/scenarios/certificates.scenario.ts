import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { makeIdentity, NodePaths } from '@understudy/platform';
import { until } from '../real-pair/deadline.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import { type RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { scenariosOnRealPair } from './scenario.ts';

interface Certificates {
  readonly mode: string;
  readonly certificates: readonly { host: string; fingerprint: string; next?: { fingerprint: string } }[];
  readonly own: { fingerprint: string };
  readonly renewal: string | null;
}

const RENEWED = { withinMs: 30_000 };

async function certificatesOf(server: UnderstudyServer): Promise<Certificates> {
  return (await server.rest('GET', '/certificates')).json as Certificates;
}

/** Each server pins the certificate that the other one uses, and nothing is under way. */
async function knowEachOther({ primary, secondary }: RealPair, options: { withinMs: number }) {
  return until('each server pins the certificate of the other', options, async () => {
    const [ofPrimary, ofSecondary] = await Promise.all([certificatesOf(primary), certificatesOf(secondary)]);
    const so = [
      [ofPrimary, ofSecondary],
      [ofSecondary, ofPrimary],
    ].every(
      ([one, other]) =>
        one?.renewal === null &&
        one.certificates[0]?.fingerprint === other?.own.fingerprint &&
        one.certificates[0]?.next === undefined,
    );
    return so ? { primary: ofPrimary.own.fingerprint, secondary: ofSecondary.own.fingerprint } : undefined;
  });
}

/** A file of the active server comes to the other. */
async function filesArrive([from, to]: readonly [UnderstudyServer, UnderstudyServer], name: string): Promise<void> {
  const folder = join(from.host.directory, 'tmp', 'settings');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), name);
  const copy = join(to.host.directory, 'tmp', 'settings', name);
  await until(`${name} has come`, { withinMs: 20_000 }, () => existsSync(copy));
}

/** The secondary starts with another certificate, good for so many days, and is lost to the primary. Resolves with its fingerprint. */
async function comesWithAnotherCertificate({ primary, secondary }: RealPair, days = 5): Promise<string> {
  await secondary.stop({ withinMs: 30_000 });
  await primary.is('Primary Lost Secondary', { withinMs: 30_000 });
  const { address } = secondary.host;
  const other = await makeIdentity({ name: 'beta', address }, days);
  const paths = new NodePaths(secondary.dataDirectory);
  writeFileSync(paths.privateKey, other.privateKeyPem);
  writeFileSync(paths.certificate, other.certificatePem);
  secondary.boot();
  await secondary.is('Secondary Lost Primary', { withinMs: 60_000 });
  return other.fingerprint;
}

/** Years have gone by: the primary's certificate has expired, under which the secondary knows it. The connections that stand hold. */
async function isKnownByAnExpiredCertificate(pair: RealPair): Promise<void> {
  const { primary, secondary } = pair;
  const expired = await makeIdentity({ name: 'alpha', address: primary.host.address }, -0.5);
  const { certificatePem, fingerprint } = expired;
  const { peer } = new NodePaths(secondary.dataDirectory);
  writeFileSync(peer, JSON.stringify({ ...JSON.parse(readFileSync(peer, 'utf8')), certificatePem, fingerprint }));
  process.kill(secondary.servicePid('health-monitor'), 'SIGKILL');
  await pair.inSync({ withinMs: 60_000 });
  const paths = new NodePaths(primary.dataDirectory);
  writeFileSync(paths.privateKey, expired.privateKeyPem);
  writeFileSync(paths.certificate, certificatePem);
  process.kill(primary.servicePid('health-monitor'), 'SIGKILL');
  await pair.inSync({ withinMs: 60_000 });
}

async function tells(server: UnderstudyServer, code: string, words: string): Promise<void> {
  await until(`${server.description.name} tells of ${words}`, { withinMs: 20_000 }, async () => {
    await server.refreshHistory();
    return server.history.eventsSinceMark().some((event) => event.code === code && event.message.includes(words));
  });
}

/** Every connection between the servers is made anew: whatever it was made under before. */
async function reconnects(pair: RealPair): Promise<void> {
  for (const server of pair.servers) process.kill(server.servicePid('nats-server'), 'SIGKILL');
  await pair.primary.query(
    "select pg_terminate_backend(pid) from pg_stat_replication where application_name = 'understudy'",
  );
  await pair.inSync({ withinMs: 60_000 });
}

async function missedBeats(server: UnderstudyServer): Promise<number> {
  const { body } = await server.rest('GET', '/../../metrics');
  return Number(/^understudy_heartbeat_missed_total(?:{[^}]*})? (\d+)$/m.exec(body)?.[1] ?? 0);
}

// Spec: "How to Replace the Primary Server" (certificates).
scenariosOnRealPair(
  'certificates',
  {
    layout: 'separate',
    // a beat has time on a busy machine too: one that is missed here was missed because of the renewal
    heartbeat: { ...TEST_TIMES, intervalSeconds: 2, missedLimit: 3 },
    sections: {
      fileSets: [{ name: 'settings', path: '/tmp/settings', class: 'realtime' }],
      // as an operator may harden it
      database: {
        ...DATABASE_SECTION,
        parameters: { ...DATABASE_SECTION.parameters, ssl_min_protocol_version: 'TLSv1.3' },
      },
    },
  },
  (scenario) => {
    scenario(
      'the certificates of both servers are renewed while they work, no heartbeat is lost, every connection comes back under the new ones',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const before = await knowEachOther(pair, RENEWED);
        const missedBefore = await Promise.all(pair.servers.map(missedBeats));
        const writer = await pair.startWriter();
        await pair.mark();
        for (const server of [primary, secondary]) {
          const { code, output } = await server.command('cert', 'renew');
          expect({ code, output }).toEqual({ code: 0, output: 'The certificate of this server is renewed.\n' });
        }
        const after = await knowEachOther(pair, RENEWED);
        expect(after.primary).not.toBe(before.primary);
        expect(after.secondary).not.toBe(before.secondary);
        expect(await Promise.all(pair.servers.map(missedBeats))).toEqual(missedBefore);
        for (const server of pair.servers) await server.refreshHistory();
        expect(primary.history.sinceMark()).toEqual(['Primary Active']);
        expect(secondary.history.sinceMark()).toEqual(['Secondary Syncing']);
        const { log, lost } = await pair.finish(writer, primary);
        expect(lost).toEqual([]);
        expect(log.longestOutageSince(0)?.durationMs).toBeLessThan(5000);
        await reconnects(pair);
        await filesArrive(pair.servers, 'after-renewal');
        const knownAfterwards = await knowEachOther(pair, RENEWED);
        expect(knownAfterwards).toEqual(after);
        // what it remembers in its journal is still its own the journal is still this server's own
        await secondary.stop({ withinMs: 30_000 });
        secondary.boot();
        await pair.inSync({ withinMs: 90_000 });
        for (const server of pair.servers) {
          await server.refreshHistory();
          expect(server.history.eventsSinceMark().filter(({ code }) => code.startsWith('record-'))).toEqual([]);
        }
      },
    );

    scenario(
      'a renewal outlives an absence of the other server and kill -9 of either health monitor, and never cuts the pair',
      { failoverType: 'manual', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        await secondary.stop({ withinMs: 30_000 });
        await primary.is('Primary Lost Secondary', { withinMs: 30_000 });
        const { own } = await certificatesOf(primary);
        const waits = await primary.command('cert', 'renew', '--no-wait');
        expect(waits).toMatchObject({ code: 0, output: expect.stringContaining('beta is not reachable') });
        expect(await certificatesOf(primary)).toMatchObject({ own, renewal: 'offered' });
        secondary.boot();
        await pair.inSync({ withinMs: 60_000 });
        expect((await knowEachOther(pair, RENEWED)).primary).not.toBe(own.fingerprint);

        await pair.mark();
        for (const [renews, killed, afterMs] of [
          [primary, primary, 0],
          [primary, secondary, 100],
          [secondary, primary, 200],
          [secondary, secondary, 300],
          [primary, primary, 500],
        ] as const) {
          void renews.rest('POST', '/certificates/renewal', { body: {}, timeoutMs: 30_000 }).catch(() => undefined);
          await delay(afterMs);
          process.kill(killed.servicePid('health-monitor'), 'SIGKILL');
          await pair.inSync({ withinMs: 60_000 });
          await knowEachOther(pair, { withinMs: 60_000 });
        }
        for (const server of pair.servers) await server.refreshHistory();
        const events = pair.servers.flatMap(({ history }) => history.eventsSinceMark());
        expect(events.filter(({ code }) => code.startsWith('record-'))).toEqual([]);
        await reconnects(pair);
      },
    );

    scenario(
      'a secondary that comes back with another certificate is refused and told of, proves the key once the old one is forgotten, and has the new one renewed before it expires',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const host = `${secondary.host.address}_8082`;
        const forget = () => primary.command('cert', 'forget', host);
        const whileConnected = await forget();
        expect(whileConnected).toMatchObject({ code: 1, output: expect.stringContaining('is connected under this') });
        await pair.mark();

        const first = await comesWithAnotherCertificate(pair);
        await tells(primary, 'certificate', `shows the certificate ${first}, not the pinned one`);
        expect((await primary.status())?.state).toBe('Primary Lost Secondary');
        const forgotten = await forget();
        expect(forgotten).toMatchObject({ code: 0, output: expect.stringContaining('Nobody is taken for beta until') });
        await pair.inSync({ withinMs: 60_000 });
        expect((await certificatesOf(primary)).certificates[0]).toMatchObject({ host, fingerprint: first });

        for (const server of pair.servers) await tells(server, 'certificate-expires', 'of beta expires within 7 days');
        expect((await secondary.command('cert', 'renew')).code).toBe(0);
        for (const server of pair.servers) await tells(server, 'certificate-clear', 'The certificate of beta');
        await knowEachOther(pair, RENEWED);
      },
    );

    scenario(
      'an expired certificate is told of and renewed at once on its server, and the pair comes together when the other one forgets it',
      { failoverType: 'manual' },
      async ({ pair, primary, secondary }) => {
        await pair.mark();
        await comesWithAnotherCertificate(pair, -0.5);
        await tells(secondary, 'certificate-expired', 'The certificate of beta has expired');
        expect((await primary.command('cert', 'forget', 'beta')).code).toBe(0);
        await tells(primary, 'certificate', 'its certificate has expired');
        const waits = await secondary.command('cert', 'renew', '--no-wait');
        expect(waits).toMatchObject({ code: 0, output: expect.stringContaining('The new certificate is in use') });
        await pair.inSync({ withinMs: 60_000 });
        await knowEachOther(pair, RENEWED);
        await tells(secondary, 'certificate-clear', 'The certificate of beta');
      },
    );

    scenario(
      'a serving primary whose certificate has expired shows a new one when the secondary has forgotten the old one, and not before: that one would take over',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        await pair.mark();
        await isKnownByAnExpiredCertificate(pair);
        for (const server of pair.servers) process.kill(server.servicePid('nats-server'), 'SIGKILL');
        await secondary.is('Secondary Lost Primary', { withinMs: 30_000 });
        await primary.shows('that it hears nothing', { withinMs: 30_000 }, ({ peer }) => peer?.reachable === false);
        const waits = await primary.command('cert', 'renew', '--no-wait');
        expect(waits).toMatchObject({ code: 0, output: expect.stringContaining('"understudy cert forget alpha"') });
        // long enough for a takeover from a primary that is lost
        await delay(20_000);
        expect((await secondary.status())?.state).toBe('Secondary Lost Primary');
        expect((await secondary.command('cert', 'forget', 'alpha')).code).toBe(0);
        await pair.inSync({ withinMs: 60_000 });
        await knowEachOther(pair, RENEWED);
        await secondary.refreshHistory();
        expect(secondary.history.sinceMark()).not.toContain('Secondary Failover');
      },
    );

    scenario(
      'in mode pinned a certificate that no operator has given is not trusted, though its server has the key',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        expect((await primary.command('cert', 'mode', 'pinned')).code).toBe(0);
        await pair.mark();
        const fingerprint = await comesWithAnotherCertificate(pair);
        expect((await primary.command('cert', 'forget', 'beta')).code).toBe(0);
        await tells(primary, 'certificate', `"understudy cert pin ${fingerprint}"`);
        expect((await secondary.status())?.state).toBe('Secondary Lost Primary');
        expect((await primary.command('cert', 'pin', fingerprint)).code).toBe(0);
        const list = await primary.command('cert', 'list');
        expect(list.output).toContain(`given beforehand: SHA-256 ${fingerprint}`);
        await pair.inSync({ withinMs: 60_000 });
        expect((await primary.command('cert', 'unpin', fingerprint)).code).toBe(0);
        expect((await primary.command('cert', 'list')).output).not.toContain('given beforehand');
        expect((await primary.command('cert', 'mode', 'trust-on-first-use')).code).toBe(0);
        await knowEachOther(pair, RENEWED);
      },
    );
  },
);
