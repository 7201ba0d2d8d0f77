import { expect } from '@jest/globals';
import { monotonicMs, until } from '../real-pair/deadline.ts';
import type { Host } from '../real-pair/host.ts';
import { WITNESS_SECTION } from '../real-pair/witness.ts';
import {
  allWrite,
  carriesNone,
  clientsOfVirtualIp,
  holds,
  LIFETIME_MS,
  nothingIsLost,
  outages,
  prepareHost,
  SECTIONS,
  VIRTUAL_IP,
} from './clients-of-virtual-ip.ts';
import { scenariosOnRealPair } from './scenario.ts';

const isThere = (host: Host, pid: number) => host.processes().some((process) => process.pid === pid);

scenariosOnRealPair(
  'a pair with a virtual IP whose health monitor hangs',
  { layout: 'separate', sections: SECTIONS, virtualIp: VIRTUAL_IP, prepareHost },
  (scenario) => {
    scenario(
      'when the health monitor of the active server hangs it is replaced, and the virtual IP is back within seconds beside an application that runs on',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        await pair.mark();
        const hung = primary.servicePid('health-monitor');
        const sinceMs = monotonicMs();
        primary.host.freeze(hung);
        await until('it is replaced', { withinMs: 10_000 }, () => !isThere(primary.host, hung));
        await primary.shows('that it holds the virtual IP', { withinMs: 20_000 }, ({ virtualIp }) => virtualIp.held);
        await allWrite(writers, 5000);
        if (process.env.UNDERSTUDY_MEASURE) console.log('hung manager', outages(writers, sinceMs));
        await pair.inSync({ withinMs: 30_000 });
        await secondary.refreshHistory();
        expect(secondary.history.sinceMark()).not.toContain('Secondary Active');
        expect(pair.application.starts()).toEqual([]);
        expect(pair.application.runsOn(primary.host)).toBe(true);
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, primary);
      },
    );

    scenario(
      'when the health monitor of the active server and its runner hang, the kernel drops the virtual IP within its lifetime, and it is back when they wake',
      { failoverType: 'manual' },
      async ({ pair, primary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        const hung = [primary.runnerPid() ?? 0, primary.servicePid('health-monitor')];
        for (const pid of hung) primary.host.freeze(pid);
        await until('the kernel drops the addresses', { withinMs: LIFETIME_MS }, () => carriesNone(primary.host));
        for (const pid of hung) primary.host.thaw(pid);
        await allWrite(writers, 10_000);
        await holds(primary, watch);
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, primary);
        await pair.inSync({ withinMs: 30_000 });
      },
    );

    scenario(
      'when no health monitor of the active server comes back, the virtual IP is gone within its lifetime and the application is stopped; both are back when one comes',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary }) => {
        const { watch, writers } = await clientsOfVirtualIp(pair);
        const restore = primary.breakJournal();
        primary.host.kill(primary.servicePid('health-monitor'));
        await until('the kernel drops the addresses', { withinMs: LIFETIME_MS }, () => carriesNone(primary.host));
        await until('the application is stopped', { withinMs: 100_000 }, () => !pair.application.runsOn(primary.host));
        restore();
        await allWrite(writers, 60_000);
        await holds(primary, watch);
        await until('the application runs', { withinMs: 20_000 }, () => pair.application.runsOn(primary.host));
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, primary);
        await pair.inSync({ withinMs: 60_000 });
      },
    );
  },
);

/** An address that may be dropped a second late has 1 s of a lease of 3 s: too little on a busy machine. */
const WITNESS = { ...WITNESS_SECTION, leaseSeconds: 4 };

scenariosOnRealPair(
  'a pair with a virtual IP and a witness, whose health monitor hangs',
  { layout: 'separate', sections: { ...SECTIONS, witness: WITNESS }, virtualIp: VIRTUAL_IP, prepareHost },
  (scenario) => {
    scenario(
      'when the health monitor of the active server hangs and none takes its place, the virtual IP is gone and the application is stopped within its lease, and the server that takes over has the address alone, also when the other is back',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        await secondary.shows(
          'that it is armed',
          { withinMs: 20_000 },
          ({ automaticFailover }) => automaticFailover.armed,
        );
        const { watch, writers } = await clientsOfVirtualIp(pair);
        // no other takes its place: where one does in time, the primary serves on
        const restore = primary.breakJournal();
        primary.host.freeze(primary.servicePid('health-monitor'));
        await until('the kernel drops the addresses', { withinMs: LIFETIME_MS }, () => carriesNone(primary.host));
        await secondary.reaches('Secondary Active', { withinMs: 30_000 });
        expect(pair.application.runsOn(primary.host)).toBe(false);
        await allWrite(writers, 10_000);
        restore();
        await pair.inSyncSwapped({ withinMs: 90_000 });
        await holds(secondary, watch);
        expect(watch.overlaps).toEqual([]);
        await nothingIsLost(pair, writers, secondary);
      },
    );
  },
);
