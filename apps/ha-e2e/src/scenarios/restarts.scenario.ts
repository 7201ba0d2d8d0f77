import { expect } from '@jest/globals';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('servers that go down and come back', {}, (scenario) => {
  // Spec: "Secondary Server Restarts While Syncing".
  scenario(
    'a secondary that restarts is followed by the primary, and is in sync again by itself',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      await secondary.stop({ withinMs: 30_000 });
      await primary.reaches('Primary Lost Secondary', { withinMs: 15_000 });
      secondary.boot();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 30_000 });
      await secondary.reaches('Secondary Syncing', { withinMs: 30_000 });
      await primary.reaches('Primary Active', { withinMs: 15_000 });
      await pair.inSync({ withinMs: 10_000 });
      await pair.conformsTo('SRS-1');
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
      expect(pair.application.starts()).toEqual([]);
    },
  );

  // Spec: "Primary Server Restarts While the Secondary Server is Syncing".
  scenario(
    'a primary that restarts asks the secondary first, and serves again with its consent',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 10_000 });
      primary.host.powerOn();
      primary.boot();
      await primary.reaches('Primary Alone', { withinMs: 30_000 });
      await primary.reaches('Primary Active', { withinMs: 30_000 });
      await secondary.reaches('Secondary Syncing', { withinMs: 30_000 });
      await pair.inSync({ withinMs: 10_000 });
      await pair.conformsTo('PRS-1');
      expect(pair.application.starts()).toEqual(['n1']);
      expect(pair.application.runsOn(primary.host)).toBe(true);
    },
  );

  // Spec: "Both Servers are Down".
  scenario(
    'after both servers were down and the secondary returns first, the pair is in sync again by itself',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      secondary.die();
      secondary.host.powerOn();
      secondary.boot();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 30_000 });
      primary.host.powerOn();
      primary.boot();
      await pair.inSync({ withinMs: 60_000 });
      expect(pair.application.runsOn(primary.host)).toBe(true);
      expect(pair.application.runsOn(secondary.host)).toBe(false);
    },
  );

  scenario(
    'after both servers were down and the primary returns first, it writes nothing until the secondary has been asked',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      secondary.die();
      primary.host.powerOn();
      primary.boot();
      await primary.reaches('Primary Alone', { withinMs: 30_000 });
      // Longer than any detection on this pair takes: nothing but the secondary's answer may end this state.
      await expect(primary.reaches('Primary Active', { withinMs: 8000 })).rejects.toThrow('not within');
      expect(pair.application.starts()).toEqual([]);
      const inRecovery = await primary.query('select pg_is_in_recovery()').catch(() => 'not running');
      expect(inRecovery).not.toEqual([['f']]);

      secondary.host.powerOn();
      secondary.boot();
      await primary.reaches('Primary Active', { withinMs: 60_000 });
      await pair.inSync({ withinMs: 30_000 });
      expect(pair.application.starts()).toEqual(['n1']);
    },
  );

  // The secondary holds the role here: it takes it up again, and the primary follows.
  scenario(
    'an active secondary that dies and returns is active again, and the synced primary stays what it is meanwhile',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      await secondary.perform('/ha/forced-failover', {}, { withinMs: 30_000 });
      await pair.inSyncSwapped({ withinMs: 40_000 });
      await pair.mark();

      secondary.die();
      await primary.reaches('Primary Alone', { withinMs: 10_000 });
      secondary.host.powerOn();
      secondary.boot();
      await secondary.reaches('Secondary Active', { withinMs: 60_000 });
      await pair.inSyncSwapped({ withinMs: 40_000 });
      await pair.conformsTo('SAD-1');
      expect(pair.application.runsOn(primary.host)).toBe(false);
    },
  );
});
