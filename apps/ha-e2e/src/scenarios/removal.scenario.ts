import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import { scenariosOnRealPair } from './scenario.ts';

const REMOVE = { method: 'DELETE', withinMs: 30_000 } as const;
const SLOTS = 'select count(*) from pg_replication_slots';
const LOGINS = `select count(*) from pg_roles where rolreplication and rolcanlogin and rolname <> 'postgres'`;

scenariosOnRealPair('the end of a pair', {}, (scenario) => {
  // Spec: "Remove HA Via the GUI"; "Remove HA Via the CLI"; "How to Resolve Database Synchronization Issues".
  scenario(
    'when HA is removed the primary serves on without a pause, nothing of the pair is left, and both can be registered anew',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      expect(await secondary.refusal('DELETE', '/ha/configuration', {}, REMOVE)).toMatch(
        /only possible on the primary/,
      );
      await primary.perform('/ha/configuration', {}, REMOVE);
      await primary.is('HA Not Configured', { withinMs: 5000 });
      await secondary.reaches('HA Not Configured', { withinMs: 15_000 });
      await pair.conformsTo('RM-CLI');
      await writer.isWriting({ withinMs: 3000, forMs: 2000 });
      expect(await primary.query(SLOTS)).toEqual([['0']]);
      expect(await primary.query(LOGINS)).toEqual([['0']]);
      expect(pair.application.starts()).toEqual([]);
      expect(pair.application.runsOn(primary.host)).toBe(true);
      await expect(secondary.query('select 1')).rejects.toThrow();

      await pair.mark();
      await secondary.canBePaired({ withinMs: 30_000 });
      await pair.register('automatic');
      await pair.inSync({ withinMs: 60_000 });
      await pair.conformsTo('REG-OK');
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
    },
  );

  // Spec: "Reset the Server IP Address or Host Name".
  scenario(
    'a paired server does not start under another name; when HA was removed it does, and is registered under it',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      await secondary.stop({ withinMs: 30_000 });
      secondary.boot({ node: { name: 'gamma' } });
      await until('the secondary is not started', { withinMs: 10_000 }, () => secondary.runnerPid() === null);
      secondary.boot();
      await pair.inSync({ withinMs: 60_000 });

      const registerAnew = async (node: object) => {
        await primary.perform('/ha/configuration', {}, REMOVE);
        await secondary.canBePaired({ withinMs: 15_000 });
        await secondary.stop({ withinMs: 30_000 });
        secondary.boot({ node });
        await secondary.canBePaired({ withinMs: 30_000 });
        await pair.register('manual');
        await pair.inSync({ withinMs: 60_000 });
      };
      await pair.mark();
      await registerAnew({ name: 'gamma' });
      await pair.conformsTo('IPC-1');
      expect((await primary.status())?.peer?.name).toBe('gamma');
      await registerAnew({});
    },
  );

  // Spec: "Secondary Server Goes Down"; a removed secondary that reappears never serves.
  scenario(
    'a secondary that was off when HA was removed is told when it is back, and never serves',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      secondary.die();
      await primary.reaches('Primary Lost Secondary', { withinMs: 15_000 });
      await primary.perform('/ha/configuration', {}, REMOVE);
      secondary.host.powerOn();
      secondary.boot();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 30_000 });
      await secondary.reaches('HA Not Configured', { withinMs: 30_000 });
      // what it has copied stays, closed
      expect(existsSync(join(secondary.dataDirectory, 'postgresql', 'PG_VERSION'))).toBe(true);
      expect(pair.application.starts()).toEqual([]);
      await primary.is('HA Not Configured', { withinMs: 1000 });
      await secondary.canBePaired({ withinMs: 30_000 });
      await pair.register('automatic');
      await pair.inSync({ withinMs: 60_000 });
    },
  );

  // Spec: "Both Servers are Down and Secondary Server Will Not Restart".
  scenario(
    'when both were down and the secondary does not return, removal on the operator’s word lets the primary serve alone',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      secondary.die();
      primary.host.powerOn();
      primary.boot();
      await primary.reaches('Primary Alone', { withinMs: 30_000 });
      await primary.shows('that removal is possible', { withinMs: 30_000 }, ({ availableActions }) =>
        availableActions.includes('remove'),
      );
      expect(await primary.refusal('DELETE', '/ha/configuration', {}, REMOVE)).toMatch(/confirm with its name/);
      expect(await primary.refusal('DELETE', '/ha/configuration', { confirm: 'gamma' }, REMOVE)).toMatch(/beta/);
      await primary.perform('/ha/configuration', { confirm: 'beta' }, REMOVE);
      await primary.shows('itself active', { withinMs: 10_000 }, ({ currentRole }) => currentRole === 'active');
      await pair.conformsTo('BDX-1');
      expect(pair.application.runsOn(primary.host)).toBe(true);
    },
  );
});

scenariosOnRealPair('planned work', {}, (scenario) => {
  // Decision: docs/decisions/0008-maintenance.md.
  scenario(
    'during maintenance a dead primary is not taken over from, until the operator ends it',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const begun = await primary.rest('POST', '/ha/maintenance', { body: { minutes: 60, reason: 'new disks' } });
      expect(begun.status).toBe(200);
      await secondary.shows(
        'that maintenance disarms it',
        { withinMs: 5000 },
        ({ automaticFailover, maintenance }) => !automaticFailover.armed && maintenance?.reason === 'new disks',
      );
      primary.die();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 10_000 });
      // Longer than the takeover of a pair without maintenance takes.
      await expect(secondary.reaches('Secondary Active', { withinMs: 12_000 })).rejects.toThrow('not within');
      const ended = await secondary.rest('DELETE', '/ha/maintenance');
      expect(ended.status).toBe(200);
      await secondary.reaches('Secondary Active', { withinMs: 10_000 });
      primary.host.powerOn();
      primary.boot();
      await pair.inSyncSwapped({ withinMs: 40_000 });
    },
  );
});
