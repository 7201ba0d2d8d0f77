import { renameSync } from 'node:fs';
import { expect } from '@jest/globals';
import { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { scenariosOnRealPair } from './scenario.ts';

const ORDER = { method: 'PUT', withinMs: 60_000 } as const;

scenariosOnRealPair('a primary whose machine is lost', {}, (scenario) => {
  // Spec: "How to Replace the Primary Server".
  scenario(
    'a new machine takes its place while the secondary serves, gets the role back with every row, and the old one never serves again',
    // the old machine, started beside the pair, is asked for nothing and serves nothing
    { failoverType: 'automatic', timeoutMs: 300_000 },
    async ({ pair, primary: old, secondary }) => {
      const replacement = { ...pair.registration('automatic'), replacePrimary: true, confirmed: true };
      const writer = await pair.startWriter();
      expect(await secondary.refusal('PUT', '/ha/configuration', replacement, ORDER)).toMatch(
        /only possible on the primary/,
      );
      old.die();
      await secondary.reaches('Secondary Active', { withinMs: 40_000 });
      await writer.isWriting({ withinMs: 20_000, forMs: 1000 });

      const keptDirectory = pair.bringNewPrimary();
      const { primary } = pair;
      await primary.canBePaired({ withinMs: 90_000 });
      await pair.mark();
      const since = pair.application.starts().length;
      const registration = pair.registration('automatic');
      expect(await primary.refusal('PUT', '/ha/configuration', registration, ORDER)).toMatch(/--replace-primary/);
      expect(await primary.refusal('PUT', '/ha/configuration', { ...replacement, confirmed: false }, ORDER)).toMatch(
        /kept beside it/,
      );
      const wrongKey = { ...replacement, authenticationKey: 'Wrong-Horse-8-Battery' };
      expect(await primary.refusal('PUT', '/ha/configuration', wrongKey, ORDER)).toMatch(/key/);
      await primary.is('HA Not Configured', { withinMs: 15_000 });
      expect(await primary.query('select 1')).toEqual([['1']]);

      await pair.mark();
      await primary.perform('/ha/configuration', replacement, ORDER);
      await pair.inSyncSwapped({ withinMs: 90_000 });
      await pair.conformsTo('RP-1');
      expect(secondary.history.sinceMark()).toEqual(['Secondary Active']);
      expect(pair.application.starts().slice(since)).toEqual([]);

      const former = new UnderstudyServer(pair.stage.n3, old.description, old.layout);
      renameSync(keptDirectory, former.dataDirectory);
      former.boot();
      await former.reaches('Primary Alone', { withinMs: 60_000 });
      await former.shows(
        'that it was replaced',
        { withinMs: 30_000 },
        ({ unavailableActions, database }) =>
          !database.running &&
          unavailableActions.some(
            ({ action, reason }) =>
              action === 'activate-alone' && reason.includes('another server has taken the place'),
          ),
      );
      const alone = { confirm: 'beta', acceptDataLoss: true };
      expect(await former.refusal('POST', '/ha/activate-alone', alone, { withinMs: 10_000 })).toMatch(/never serves/);
      expect(await former.refusal('DELETE', '/ha/configuration', alone, { withinMs: 10_000 })).toMatch(/never serves/);
      expect(pair.application.runsOn(former.host)).toBe(false);
      await former.stop({ withinMs: 30_000 });

      await pair.mark();
      await secondary.perform('/ha/failback', {}, { withinMs: 60_000 });
      await pair.inSync({ withinMs: 60_000 });
      await pair.conformsTo('FB-1');
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
    },
  );
});
