import { expect } from '@jest/globals';
import { monotonicMs, until } from '../real-pair/deadline.ts';
import { HostAgent } from '../real-pair/host-agent.ts';
import { ip } from '../real-pair/namespaces.ts';
import { beyondAsynchronous } from '../writer/write-log.ts';
import {
  ADDRESSES,
  allWrite,
  carries,
  carriesNone,
  clientsOfVirtualIp,
  holds,
  IMPATIENT,
  nothingIsLost,
  outages,
  prepareHost,
  SECTIONS,
  VIRTUAL_IP,
  watchAddresses,
} from './clients-of-virtual-ip.ts';
import { scenariosOnRealPair } from './scenario.ts';

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
        const diedMs = monotonicMs();
        primary.die();
        await secondary.reaches('Secondary Active', { withinMs: 20_000 });
        const takenOverMs = monotonicMs();
        await allWrite(writers, 10_000);
        primary.host.powerOn();
        pair.prepare(primary.host);
        watch.follow(primary.host);
        primary.boot();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        await holds(secondary, watch);
        expect(watch.overlaps).toEqual([]);
        for (const writer of writers) {
          const { lost } = await pair.finish(writer, secondary);
          expect(beyondAsynchronous(lost, { diedMs, takenOverMs })).toEqual([]);
        }
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

    // Spec: "How to Configure HA Between the Primary and Secondary Servers".
    scenario(
      'the virtual IP of a pair is changed in place: clients find the new one, the old one is gone, and it moves with the role; what one of the two cannot hold is refused and said',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        const other = { ipv4: '10.77.0.101', ipv6: 'fd77::101' };
        const watch = watchAddresses(pair, [...ADDRESSES, ...Object.values(other)]);
        await primary.shows('that it holds the virtual IP', { withinMs: 10_000 }, ({ virtualIp }) => virtualIp.held);
        const change = (virtualIp: object) =>
          primary.refusal('PATCH', '/ha/configuration', { virtualIp }, { withinMs: 20_000 });
        expect(await change({ ipv4: '10.78.0.100' })).toContain('not in the subnet of eth0 (10.77.0.11/24)');
        const stranger = pair.stage.n3;
        ip(['-n', stranger.namespace, 'address', 'add', '10.77.0.102/32', 'dev', 'eth0']);
        expect(await change({ ipv4: '10.77.0.102' })).toContain('10.77.0.102 is in use by 02:77:00:00:00:03');
        ip(['-n', stranger.namespace, 'address', 'delete', '10.77.0.102/32', 'dev', 'eth0']);

        const changeTo = async (virtualIp: object) =>
          expect((await primary.rest('PATCH', '/ha/configuration', { body: { virtualIp } })).status).toBe(200);
        await changeTo(other);
        const writer = await pair.startWriter([`${other.ipv4}:5432`], pair.stage.n3, IMPATIENT);
        await writer.isWriting({ withinMs: 10_000 });
        await until('the old addresses are gone', { withinMs: 5000 }, () => carriesNone(primary.host));
        await secondary.shows('the new one', { withinMs: 10_000 }, ({ virtualIp }) => virtualIp.ipv4 === other.ipv4);
        await secondary.perform('/ha/forced-failover', {}, { withinMs: 30_000 });
        await pair.inSyncSwapped({ withinMs: 30_000 });
        await writer.isWriting({ withinMs: 10_000 });
        expect(watch.holdersOf(other.ipv4)).toEqual([secondary.host.name]);
        await nothingIsLost(pair, [writer], secondary);

        await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
        await pair.inSync({ withinMs: 30_000 });
        await changeTo(VIRTUAL_IP);
        await holds(primary, watch);
        expect(watch.overlaps).toEqual([]);
      },
    );

    scenario(
      'the virtual IP is given back when HA is removed, and a pair is not registered with one that somebody has',
      { failoverType: 'manual', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        await primary.perform('/ha/configuration', {}, { method: 'DELETE', withinMs: 60_000 });
        await until('nobody has it', { withinMs: 10_000 }, () => pair.servers.every(({ host }) => carriesNone(host)));
        await primary.canBePaired({ withinMs: 60_000 });
        await secondary.canBePaired({ withinMs: 60_000 });
        const stranger = pair.stage.n3;
        ip(['-n', stranger.namespace, 'address', 'add', `${VIRTUAL_IP.ipv4}/32`, 'dev', 'eth0']);
        const order = pair.registration('manual');
        const inUse = `${VIRTUAL_IP.ipv4} is in use by 02:77:00:00:00:03 on eth0`;
        expect(await primary.refusal('PUT', '/ha/configuration', order, { withinMs: 60_000 })).toContain(inUse);
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
