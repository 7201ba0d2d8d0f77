import { afterEach, expect } from '@jest/globals';
import { AddressWatch } from '../real-pair/address-watch.ts';
import { monotonicMs, until } from '../real-pair/deadline.ts';
import type { Host } from '../real-pair/host.ts';
import { HostAgent } from '../real-pair/host-agent.ts';
import { ip } from '../real-pair/namespaces.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { WITNESS_SECTION } from '../real-pair/witness.ts';
import type { Writer } from '../writer/writer.ts';
import { scenariosOnRealPair } from './scenario.ts';

const VIRTUAL_IP = { ipv4: '10.77.0.100', ipv6: 'fd77::100' } as const;
const ADDRESSES = Object.values(VIRTUAL_IP);
/** The lifetime with the stage's times, and what the kernel and a busy machine add. */
const LIFETIME_MS = 4000 + 2000;

const SECTIONS = {
  virtualIp: { interface: 'eth0' },
  database: {
    ...DATABASE_SECTION,
    accessRules: [...DATABASE_SECTION.accessRules, 'host all all fd77::/64 trust'],
  },
};

/** Between two holders packets go nowhere: how long a client waits then is its own part of an outage. */
const IMPATIENT = { connectTimeoutMs: 100 };

/** The stage itself has no IPv6. */
function prepareHost(host: Host): void {
  ip(['-n', host.namespace, 'address', 'add', `fd77::${host.name.slice(1)}/64`, 'dev', 'eth0', 'nodad']);
}

let watch: AddressWatch | undefined;
afterEach(() => watch?.stop());

/** Watches who has the addresses, and starts clients that know nothing else. */
async function clientsOfVirtualIp(pair: RealPair): Promise<{ watch: AddressWatch; writers: Writer[] }> {
  watch = new AddressWatch(
    pair.servers.map(({ host }) => host),
    ADDRESSES,
  );
  const writers: Writer[] = [];
  for (const target of ADDRESSES) writers.push(await pair.startWriter([`${target}:5432`], pair.stage.n3, IMPATIENT));
  for (const writer of writers) await writer.isWriting({ withinMs: 20_000 });
  return { watch, writers };
}

async function allWrite(writers: readonly Writer[], withinMs: number): Promise<void> {
  for (const writer of writers) await writer.isWriting({ withinMs });
}

/** The addresses are on this server, as its status says and as the kernel has it. */
async function holds(server: UnderstudyServer, watch: AddressWatch): Promise<void> {
  await server.shows('that it holds the virtual IP', { withinMs: 10_000 }, ({ virtualIp }) => virtualIp.held);
  for (const address of ADDRESSES) expect(watch.holdersOf(address)).toEqual([server.host.name]);
}

/** Every acknowledged row is on the survivor. */
async function nothingIsLost(pair: RealPair, writers: readonly Writer[], survivor: UnderstudyServer): Promise<void> {
  for (const writer of writers) expect((await pair.finish(writer, survivor)).lost).toEqual([]);
}

const outages = (writers: readonly Writer[], sinceMs: number) =>
  writers.map(({ log }) => Math.round(log.longestOutageSince(sinceMs)?.durationMs ?? Number.NaN));

const carries = (host: Host, address: string) =>
  ip(['-n', host.namespace, '-o', 'address', 'show']).includes(` ${address}/`);

scenariosOnRealPair(
  'a pair with a virtual IP',
  {
    layout: 'separate',
    sections: SECTIONS,
    virtualIp: VIRTUAL_IP,
    prepareHost,
  },
  (scenario) => {
    // Spec: "Using Virtual IP Addressing With HA".
    scenario(
      'a client that knows only the virtual IP follows a forced failover and a failback without the loss of a row, nearly as fast as one that knows both servers',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        const direct = await pair.startWriter();
        const client = new HostAgent(pair.stage.n3);
        await holds(primary, watch);

        for (const [path, holder, settled] of [
          ['/ha/forced-failover', secondary, () => pair.inSyncSwapped({ withinMs: 30_000 })],
          ['/ha/failback', primary, () => pair.inSync({ withinMs: 30_000 })],
        ] as const) {
          const sinceMs = monotonicMs();
          await secondary.perform(path, {}, { withinMs: 30_000 });
          await settled();
          await allWrite([...writers, direct], 10_000);
          await holds(holder, watch);
          for (const host of ['10.77.0.100', '[fd77::100]']) {
            const page = await client.http('GET', `https://${host}:8082/active`);
            expect(page.json).toMatchObject({ ok: true, state: (await holder.status())?.state });
          }
          const [reference = 0] = outages([direct], sinceMs);
          for (const outage of outages(writers, sinceMs)) expect(outage - reference).toBeLessThan(1500);
          if (process.env.UNDERSTUDY_MEASURE)
            console.log(path, { direct: reference, virtual: outages(writers, sinceMs) });
        }
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, primary);
      },
    );

    scenario(
      'a client that knows only the virtual IP finds the secondary when the primary’s machine dies, and the old machine does not bring the address back',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        primary.die();
        await secondary.reaches('Secondary Active', { withinMs: 20_000 });
        await allWrite(writers, 10_000);
        primary.host.powerOn();
        pair.prepare(primary.host);
        watch.follow(primary.host);
        primary.boot();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        await holds(secondary, watch);
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, secondary);
      },
    );

    scenario(
      'when the health monitor of the active server hangs, the kernel drops the virtual IP within its lifetime, and it is back when the manager wakes',
      { failoverType: 'manual' },
      async ({ pair, primary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        const manager = primary.servicePid('health-monitor');
        primary.host.freeze(manager);
        await until('the kernel drops the addresses', { withinMs: LIFETIME_MS }, () =>
          ADDRESSES.every((address) => !carries(primary.host, address)),
        );
        primary.host.thaw(manager);
        await allWrite(writers, 10_000);
        await holds(primary, watch);
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, primary);
        await pair.inSync({ withinMs: 30_000 });
      },
    );

    scenario(
      'the virtual IP outlives the death of its manager, and is put back when somebody removes it',
      { failoverType: 'automatic' },
      async ({ pair, primary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        primary.host.kill(primary.servicePid('health-monitor'));
        await primary.shows('itself again', { withinMs: 20_000 }, ({ virtualIp }) => virtualIp.held);
        await allWrite(writers, 10_000);

        for (const address of ADDRESSES)
          ip([
            '-n',
            primary.host.namespace,
            'address',
            'delete',
            `${address}/${address.includes(':') ? 128 : 32}`,
            'dev',
            'eth0',
          ]);
        await until('they are back', { withinMs: 5000 }, () =>
          ADDRESSES.every((address) => carries(primary.host, address)),
        );
        await allWrite(writers, 10_000);
        await primary.refreshHistory();
        expect(primary.history.eventsSinceMark().map(({ code }) => code)).toContain('virtual-ip-lost');
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, primary);
      },
    );

    scenario(
      'the virtual IP is given back when HA is removed, and a pair is not registered with one that somebody has',
      { failoverType: 'manual', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        await primary.perform('/ha/configuration', {}, { method: 'DELETE', withinMs: 60_000 });
        await until('nobody has it', { withinMs: 10_000 }, () =>
          pair.servers.every(({ host }) => ADDRESSES.every((address) => !carries(host, address))),
        );
        await primary.canBePaired({ withinMs: 60_000 });
        await secondary.canBePaired({ withinMs: 60_000 });
        const stranger = pair.stage.n3;
        ip(['-n', stranger.namespace, 'address', 'add', `${VIRTUAL_IP.ipv4}/32`, 'dev', 'eth0']);
        const order = pair.registration('manual');
        const inUse = `${VIRTUAL_IP.ipv4} is in use by 02:77:00:00:00:03 on eth0`;
        // the bus is away for a moment when the peer changes
        await until('it is refused', { withinMs: 20_000 }, async () =>
          (await primary.refusal('PUT', '/ha/configuration', order, { withinMs: 60_000 })).includes(inUse),
        );
        ip(['-n', stranger.namespace, 'address', 'delete', `${VIRTUAL_IP.ipv4}/32`, 'dev', 'eth0']);
        const elsewhere = { ...order, virtualIp: { ipv4: '10.78.0.100' } };
        expect(await primary.refusal('PUT', '/ha/configuration', elsewhere, { withinMs: 60_000 })).toContain(
          'not in the subnet of eth0 (10.77.0.11/24)',
        );
        await pair.register('manual');
        await pair.inSync({ withinMs: 60_000 });
        await primary.shows('that it holds the virtual IP', { withinMs: 10_000 }, ({ virtualIp }) => virtualIp.held);
      },
    );
  },
);

scenariosOnRealPair(
  'a pair with a virtual IP and a witness',
  { layout: 'separate', sections: { ...SECTIONS, witness: WITNESS_SECTION }, virtualIp: VIRTUAL_IP, prepareHost },
  (scenario) => {
    scenario(
      'when the health monitor of the active server hangs, the virtual IP is gone and the application is stopped within its lease, and the server that takes over has the address alone, also when the other wakes',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        await secondary.shows(
          'that it is armed',
          { withinMs: 20_000 },
          ({ automaticFailover }) => automaticFailover.armed,
        );
        const { watch, writers } = await clientsOfVirtualIp(pair);
        const manager = primary.servicePid('health-monitor');
        primary.host.freeze(manager);
        await until('the kernel drops the addresses', { withinMs: LIFETIME_MS }, () =>
          ADDRESSES.every((address) => !carries(primary.host, address)),
        );
        await secondary.reaches('Secondary Active', { withinMs: 30_000 });
        expect(pair.application.runsOn(primary.host)).toBe(false);
        await allWrite(writers, 10_000);
        primary.host.thaw(manager);
        await pair.inSyncSwapped({ withinMs: 90_000 });
        await holds(secondary, watch);
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, secondary);
      },
    );
  },
);
