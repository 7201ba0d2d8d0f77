import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { Host } from '../real-pair/host.ts';
import { HostSystemd, hostSystemdIsAvailable } from '../real-pair/host-systemd.ts';
import { scenariosOnRealPair } from './scenario.ts';

const UNIT = 'sample.service';
const PROCESS = { name: 'Sample Server', unit: UNIT, critical: true, stopSeconds: 5 };

const systemds = new Map<Host, HostSystemd>();

/** The host's systemd, booted, with the application of the stage as a unit. */
function prepareHost(host: Host): void {
  const systemd = systemds.get(host) ?? new HostSystemd(host);
  systemds.set(host, systemd);
  systemd.boot();
  const application = join(dirname(host.directory), 'application');
  const words = [join(application, 'application.sh'), host.name, host.directory, application];
  systemd.add(UNIT, `[Service]\nExecStart=/bin/sh ${words.join(' ')}\nRestart=always\n`);
}

afterAll(() => {
  for (const systemd of systemds.values()) systemd.remove();
});

const title = 'a pair whose application is a unit of systemd';
if (hostSystemdIsAvailable())
  scenariosOnRealPair(title, { layout: 'separate', sections: { processes: [PROCESS] }, prepareHost }, (scenario) => {
    // Decision: docs/decisions/0020-units-and-containers.md.
    scenario(
      'a switch of the roles stops the unit here and starts it there; on the standby neither an operator nor a boot starts it',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        const { application } = pair;
        const runsOnlyOn = (active: Host, standby: Host) =>
          until(`the unit runs on ${active.name} only`, { withinMs: 10_000 }, () => {
            return application.runsOn(active) && !application.runsOn(standby);
          });
        const of = (host: Host) => systemds.get(host) as HostSystemd;
        for (const { host } of pair.servers) of(host).enable(UNIT);
        await runsOnlyOn(primary.host, secondary.host);
        of(secondary.host).systemctl('start', UNIT);
        expect(application.runsOn(secondary.host)).toBe(false);

        await secondary.perform('/ha/forced-failover', {}, { withinMs: 30_000 });
        await pair.inSyncSwapped({ withinMs: 30_000 });
        await runsOnlyOn(secondary.host, primary.host);

        primary.die();
        primary.host.powerOn();
        pair.prepare(primary.host); // its systemd boots, with the unit enabled
        const tried = () => of(primary.host).systemctl('show', UNIT, '-p', 'ConditionTimestamp');
        await until('the boot has tried to start it', { withinMs: 10_000 }, () => /=\w/.test(tried() ?? ''));
        expect(application.runsOn(primary.host)).toBe(false);
        primary.boot();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        await runsOnlyOn(secondary.host, primary.host);

        await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
        await pair.inSync({ withinMs: 30_000 });
        await runsOnlyOn(primary.host, secondary.host);
        expect(application.starts().slice(-2)).toEqual([secondary.host.name, primary.host.name]);
      },
    );
  });
else
  describe.skip(`${title} (needs root, systemd and control groups)`, () =>
    it('runs on the active server only', () => {}));
