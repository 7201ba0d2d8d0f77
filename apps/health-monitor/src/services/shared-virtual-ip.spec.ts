import { expect, it } from '@jest/globals';
import type { NotedVirtualIp } from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import { NO_VIRTUAL_ADDRESSES, type VirtualIpRequirements } from '../virtual-ip/index.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';
import type { Pairing } from './pairing.ts';
import { SharedVirtualIp } from './shared-virtual-ip.ts';

const OLD = { ipv4: '10.77.0.30', ipv6: null };
const NEW = { ipv4: '10.77.0.31', ipv6: 'fd77::31' };

/** A pair whose servers hear each other as long as `isUp`; nothing is compared but when the test says so. */
function pairWith(primary: NotedVirtualIp, secondary: NotedVirtualIp) {
  const link = { isUp: true, pairIds: ['p', 'p'] };
  const handlers: ((data: unknown) => Promise<unknown>)[] = [];
  const servers = [primary, secondary].map((begin, index) => {
    const events: string[] = [];
    const objections: string[] = [];
    let noted = begin;
    const monitor = {
      record: {
        get pairId() {
          return link.pairIds[index];
        },
        role: index === 0 ? 'primary' : 'secondary',
        failoverType: 'manual',
      },
      view: { link: 'down', record: { pairId: null } },
      refusalOf: () => (index === 0 ? null : new BusError('wrong-server', 'only possible on the primary')),
      events: { note: ({ code, message }: { code: string; message: string }) => events.push(`${code} ${message}`) },
    } as unknown as HealthMonitorService;
    const pairing = {
      ownFacts: { name: index === 0 ? 'alpha' : 'beta', address: `10.77.0.${index + 1}` },
      get virtualIp() {
        return { ipv4: noted.ipv4, ipv6: noted.ipv6 };
      },
      get notedVirtualIp() {
        return noted;
      },
      async noteVirtualIp(next: NotedVirtualIp) {
        noted = next;
      },
    } as unknown as Pairing;
    const said = () => objections.map((message) => ({ pointer: '/virtualIp/ipv4', message }));
    const requirements = { objections: said, objectionsNow: async () => said() } as unknown as VirtualIpRequirements;
    const bus = {
      handle: (_: unknown, handler: (data: unknown) => Promise<unknown>) => {
        handlers[index] = handler;
      },
      request: async (_: unknown, data: unknown) => {
        if (!link.isUp) throw new BusError('no-responder', 'nobody answers');
        return structuredClone(await handlers[1 - index]?.(structuredClone(data)));
      },
    } as unknown as Bus;
    const shared = new SharedVirtualIp(monitor, pairing, requirements, bus);
    shared.start();
    shared.stop();
    return { shared, events, objections, noted: () => noted };
  });
  const [alpha, beta] = servers as [(typeof servers)[0], (typeof servers)[0]];
  return { alpha, beta, link, compare: () => alpha.shared.compareNow() };
}

const at = (addresses: typeof NO_VIRTUAL_ADDRESSES, change: number) => ({ ...addresses, change });

it('an operator changes it on both servers', async () => {
  const { alpha, beta } = pairWith(at(OLD, 0), at(OLD, 0));
  await alpha.shared.change(NEW);
  expect([alpha.noted(), beta.noted()]).toEqual([at(NEW, 1), at(NEW, 1)]);
  const said = 'virtual-ip-changed The virtual IP of the pair is 10.77.0.31 and fd77::31 now, and was 10.77.0.30';
  expect([alpha.events, beta.events]).toEqual([[said], [said]]);
  await alpha.shared.change(NO_VIRTUAL_ADDRESSES);
  expect([alpha.noted(), beta.noted()]).toEqual([at(NO_VIRTUAL_ADDRESSES, 2), at(NO_VIRTUAL_ADDRESSES, 2)]);
});

it('two changes at the same time are two changes, and the later one holds', async () => {
  const { alpha, beta } = pairWith(at(OLD, 0), at(OLD, 0));
  const other = { ipv4: '10.77.0.32', ipv6: null };
  await Promise.all([alpha.shared.change(NEW), alpha.shared.change(other)]);
  expect([alpha.noted(), beta.noted()]).toEqual([at(other, 2), at(other, 2)]);
});

it('is refused on the secondary, without the peer, and where one of the two could not hold it; nothing changes then', async () => {
  const { alpha, beta, link } = pairWith(at(OLD, 3), at(OLD, 3));
  await expect(beta.shared.change(NEW)).rejects.toThrow('only possible on the primary');
  link.isUp = false;
  await expect(alpha.shared.change(NEW)).rejects.toMatchObject({ code: 'peer-unreachable' });
  link.isUp = true;
  beta.objections.push('beta: there is no interface eth0 that is up');
  await expect(alpha.shared.change(NEW)).rejects.toMatchObject({
    code: 'invalid-input',
    fields: [{ pointer: '/virtualIp/ipv4', message: 'beta: there is no interface eth0 that is up' }],
  });
  expect([alpha.noted(), beta.noted()]).toEqual([at(OLD, 3), at(OLD, 3)]);
});

it.each([
  ['a change that has reached the primary only', at(NEW, 2), at(OLD, 1), at(NEW, 2)],
  ['a change that has reached the secondary only', at(OLD, 1), at(NEW, 2), at(NEW, 2)],
  ['a word an hour late', at(NO_VIRTUAL_ADDRESSES, 5), at(OLD, 4), at(NO_VIRTUAL_ADDRESSES, 5)],
  ['lost notes of the primary', at(NO_VIRTUAL_ADDRESSES, 0), at(OLD, 0), at(OLD, 0)],
  ['lost notes of the secondary', at(OLD, 0), at(NO_VIRTUAL_ADDRESSES, 0), at(OLD, 0)],
])('both have the same again after %s', async (_, primary, secondary, expected) => {
  const { alpha, beta, compare } = pairWith(primary, secondary);
  await compare();
  expect([alpha.noted(), beta.noted()]).toEqual([expected, expected]);
});

it('what cannot be settled, and what the other server lacks, is said once', async () => {
  const { alpha, beta, compare } = pairWith(at(OLD, 0), at(NEW, 0));
  beta.objections.push('beta: virtualIp.interface is missing in its configuration');
  await compare();
  await compare();
  expect([alpha.noted(), beta.noted()]).toEqual([at(OLD, 0), at(NEW, 0)]);
  expect(alpha.events).toEqual([
    expect.stringContaining('disagree about it: here it is 10.77.0.30, at the peer 10.77.0.31 and fd77::31'),
    'virtual-ip-unfit Virtual IP: beta: virtualIp.interface is missing in its configuration',
  ]);
  expect(beta.events).toEqual([expect.stringContaining('here it is 10.77.0.31 and fd77::31, at the peer 10.77.0.30')]);
});

it('an answer that comes when the pair is removed counts for nothing', async () => {
  const { alpha, link, beta } = pairWith(at(OLD, 0), at(NEW, 4));
  const compared = alpha.shared.compareNow();
  link.pairIds[0] = 'another';
  await compared;
  expect(alpha.noted()).toEqual(at(OLD, 0));
  expect(beta.noted()).toEqual(at(NEW, 4));
});
