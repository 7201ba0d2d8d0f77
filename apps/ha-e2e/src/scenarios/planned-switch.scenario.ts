import { expect } from '@jest/globals';
import { monotonicMs, until } from '../real-pair/deadline.ts';
import { LoadBalancer } from '../real-pair/load-balancer.ts';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('planned switches', { layout: 'separate' }, (scenario) => {
  scenario(
    'a forced failover is refused where it is asked of the primary, and a failback while there is nothing to give back',
    { failoverType: 'manual' },
    async ({ primary, secondary }) => {
      const onPrimary = await primary.ask('POST', '/ha/forced-failover', {});
      expect(onPrimary).toMatchObject({ accepted: false, status: 409 });
      const failback = await secondary.ask('POST', '/ha/failback', {});
      expect(failback).toMatchObject({ accepted: false, status: 409 });
      expect((await secondary.status())?.state).toBe('Secondary Syncing');
    },
  );

  // Spec: "Force Failover"; any failure before the promotion leaves the old active running again.
  scenario(
    'when the secondary dies in the middle of a forced failover, the primary is active again without the loss of a row',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter([`${primary.host.address}:5432`]);
      await writer.isWriting({ withinMs: 10_000 });

      void secondary.ask('POST', '/ha/forced-failover', {}).catch(() => {});
      await until('the primary begins to hand over', { withinMs: 10_000, everyMs: 1 }, async () => {
        await primary.refreshHistory();
        return primary.history.current !== 'Primary Active';
      });
      secondary.die();

      await primary.shows('that it is active again', { withinMs: 30_000 }, (status) => status.currentRole === 'active');
      await writer.isWriting({ withinMs: 10_000 });
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
      expect(pair.application.runsOn(primary.host)).toBe(true);

      secondary.host.powerOn();
      secondary.boot();
      await pair.inSync({ withinMs: 60_000 });
    },
  );

  // Spec: "What If I Cannot Use Virtual IP Addressing?".
  scenario(
    'clients behind HAProxy with the ready configuration follow a forced failover and a failback without the loss of a row, and are sent to nobody who is not active',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const balancer = new LoadBalancer(pair.stage.n3, pair.servers);
      balancer.start();
      try {
        const writer = await pair.startWriter([balancer.target]);
        await writer.isWriting({ withinMs: 20_000 });
        const directly = await pair.startWriter();
        for (const path of ['/ha/forced-failover', '/ha/failback']) {
          if (path === '/ha/failback') await pair.inSyncSwapped({ withinMs: 60_000 });
          const sinceMs = monotonicMs();
          await secondary.perform(path, {}, { withinMs: 30_000 });
          await writer.isWriting({ withinMs: 20_000 });
          const [behind, reference] = [writer, directly].map(({ log }) => log.longestOutageSince(sinceMs)?.durationMs);
          if (process.env.UNDERSTUDY_MEASURE) console.log(path, { behind, reference });
          // it looks once a second, and twice before it believes that a server has gone
          expect((behind ?? 0) - (reference ?? 0)).toBeLessThan(5000);
        }
        await pair.inSync({ withinMs: 30_000 });
        expect((await pair.finish(writer, primary)).lost).toEqual([]);
      } finally {
        balancer.stop();
      }
    },
  );
});
