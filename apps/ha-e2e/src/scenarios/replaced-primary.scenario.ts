import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { monotonicMs, until } from '../real-pair/deadline.ts';
import { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { beyondAsynchronous } from '../writer/write-log.ts';
import { scenariosOnRealPair } from './scenario.ts';

const ORDER = { method: 'PUT', withinMs: 60_000 } as const;
const REFUSAL = { withinMs: 10_000 };

scenariosOnRealPair('a primary whose machine is lost', {}, (scenario) => {
  // Spec: "How to Replace the Primary Server".
  scenario(
    'a new machine at its address takes its place while the secondary serves, and gets the role back with every row; the old disk never serves again',
    // the new machine serves what it has of its own until it is told whose place it takes
    { failoverType: 'automatic', bothActive: true, timeoutMs: 300_000 },
    async ({ pair, primary: old, secondary }) => {
      const replacement = { ...pair.registration('automatic'), replacePrimary: true, confirmed: true };
      const writer = await pair.startWriter();
      const diedMs = monotonicMs();
      old.die();
      await secondary.reaches('Secondary Active', { withinMs: 40_000 });
      await writer.isWriting({ withinMs: 20_000 });
      const takenOverMs = monotonicMs();

      const keptDirectory = pair.bringNewPrimary();
      const { primary } = pair;
      await primary.canBePaired({ withinMs: 90_000 });
      await pair.mark();
      expect(await primary.refusal('PUT', '/ha/configuration', pair.registration('automatic'), ORDER)).toMatch(
        /--replace-primary/,
      );
      expect(await primary.refusal('PUT', '/ha/configuration', { ...replacement, confirmed: false }, ORDER)).toMatch(
        /kept beside it/,
      );
      const wrongKey = { ...replacement, authenticationKey: 'Wrong-Horse-8-Battery' };
      expect(await primary.refusal('PUT', '/ha/configuration', wrongKey, ORDER)).toMatch(/key/);
      await primary.is('HA Not Configured', { withinMs: 15_000 });
      expect(await primary.query('select pg_is_in_recovery()')).toEqual([['f']]);

      await pair.mark();
      const started = pair.application.starts().length;
      await primary.perform('/ha/configuration', replacement, ORDER);
      await pair.inSyncSwapped({ withinMs: 90_000 });
      await pair.conformsTo('RP-1');
      await writer.isWriting({ withinMs: 3000, forMs: 1000 });
      expect(secondary.history.sinceMark()).toEqual(['Secondary Active']);
      expect(pair.application.starts().slice(started)).toEqual([]);
      expect(pair.application.runsOn(primary.host)).toBe(false);
      expect(readdirSync(primary.dataDirectory)).toContainEqual(expect.stringMatching(/^postgresql\.kept-/));

      // the old disk, in another machine: it is not started at another address
      const former = new UnderstudyServer(pair.stage.n3, old.description, old.layout);
      renameSync(keptDirectory, former.dataDirectory);
      former.boot();
      await until('the old disk is not started', { withinMs: 10_000 }, () => former.runnerPid() === null);
      // one that does not know its address, as an earlier version left it, finds the secondary and hears that it was replaced
      const { name, role } = old.description;
      writeFileSync(join(former.dataDirectory, 'node.json'), JSON.stringify({ name, role }));
      former.boot();
      await former.is('Primary Alone', { withinMs: 60_000 });
      await neverServes(former);
      await former.stop({ withinMs: 30_000 });

      await pair.mark();
      await secondary.perform('/ha/failback', {}, { withinMs: 60_000 });
      await pair.inSync({ withinMs: 60_000 });
      await pair.conformsTo('FB-1');
      const { lost } = await pair.finish(writer, primary);
      expect(beyondAsynchronous(lost, { diedMs, takenOverMs })).toEqual([]);
    },
  );

  // Spec: "How to Replace the Primary Server", step 2: the old primary must be disconnected.
  scenario(
    'a primary that was only cut off and serves on is replaced by a machine at another address; connected again it closes itself and never serves again',
    { failoverType: 'manual', bothActive: true, timeoutMs: 300_000 },
    async ({ pair, primary: old, secondary }) => {
      const gamma = new UnderstudyServer(
        pair.stage.n3,
        { ...old.description, name: 'gamma', sections: {} },
        old.layout,
      );
      gamma.boot();
      await gamma.canBePaired({ withinMs: 90_000 });
      const replacement = { ...pair.registration('manual'), replacePrimary: true, confirmed: true };
      expect(await gamma.refusal('PUT', '/ha/configuration', replacement, ORDER)).toMatch(/Secondary Syncing/);
      await secondary.perform('/ha/forced-failover', {}, { withinMs: 30_000 });
      await pair.inSyncSwapped({ withinMs: 40_000 });
      expect(await gamma.refusal('PUT', '/ha/configuration', replacement, ORDER)).toMatch(
        /present primary is reachable and Primary Syncing/,
      );
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 40_000 });

      old.host.cutLink();
      const offersFailover = ({ availableActions }: { availableActions: string[] }) =>
        availableActions.includes('failover');
      await secondary.shows('that failover is possible', { withinMs: 30_000 }, offersFailover);
      await secondary.perform('/ha/failover', { acceptDataLoss: true }, { withinMs: 30_000 });
      await old.is('Primary Lost Secondary', { withinMs: 10_000 });
      expect(pair.application.runsOn(old.host)).toBe(true);

      await pair.mark();
      await gamma.perform('/ha/configuration', replacement, ORDER);
      await gamma.is('Primary Syncing', { withinMs: 90_000 });
      await pair.streams(secondary, gamma, { withinMs: 10_000 });

      old.host.healLink();
      await old.reaches('Primary Alone', { withinMs: 30_000 });
      await neverServes(old);
      expect(pair.application.runsOn(old.host)).toBe(false);
      expect((await secondary.is('Secondary Active', { withinMs: 1000 })).peer).toMatchObject({
        ...{ name: 'gamma', reachable: true, state: 'Primary Syncing' },
      });
      expect(secondary.history.sinceMark()).toEqual(['Secondary Active']);
    },
  );
});

/** The server knows that another one is in its place: it is closed, and no order opens it. */
async function neverServes(former: UnderstudyServer): Promise<void> {
  await former.shows(
    'that it was replaced',
    { withinMs: 30_000 },
    ({ database, unavailableActions }) =>
      !database.running &&
      unavailableActions.some(({ action, reason }) => action === 'activate-alone' && reason.includes('never serves')),
  );
  const word = { confirm: 'beta', acceptDataLoss: true };
  expect(await former.refusal('POST', '/ha/activate-alone', word, REFUSAL)).toMatch(/never serves again/);
  expect(await former.refusal('DELETE', '/ha/configuration', word, REFUSAL)).toMatch(/never serves again/);
}
