import { expect } from '@jest/globals';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('servers that go down and come back', {}, (scenario) => {
  // Spec: "Both Servers are Down", in the other order.
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
});
