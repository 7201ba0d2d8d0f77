import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import { scenariosOnRealPair } from './scenario.ts';

const REMOVE = { method: 'DELETE', withinMs: 30_000 } as const;
const SLOTS = 'select count(*) from pg_replication_slots';
const LOGINS = `select count(*) from pg_roles where rolreplication and rolcanlogin and rolname <> 'postgres'`;

scenariosOnRealPair('the end of a pair', {}, (scenario) => {
  // The states are those of the procedure RM-CLI; here: what PostgreSQL keeps.
  scenario(
    'when HA is removed nothing of the pair is left in either database server, and the application is not started again',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      await primary.perform('/ha/configuration', {}, REMOVE);
      await secondary.reaches('HA Not Configured', { withinMs: 15_000 });
      expect(await primary.query(SLOTS)).toEqual([['0']]);
      expect(await primary.query(LOGINS)).toEqual([['0']]);
      expect(pair.application.starts()).toEqual([]);
      await expect(secondary.query('select 1')).rejects.toThrow();
      // what it has copied stays, closed
      expect(existsSync(join(secondary.dataDirectory, 'postgresql', 'PG_VERSION'))).toBe(true);
      await secondary.canBePaired({ withinMs: 30_000 });
      await pair.register('automatic');
      await pair.inSync({ withinMs: 60_000 });
    },
  );

  // Spec: "Reset the Server IP Address or Host Name".
  scenario(
    'a paired server does not start under another name',
    { failoverType: 'manual' },
    async ({ pair, secondary }) => {
      await secondary.stop({ withinMs: 30_000 });
      secondary.boot({ node: { name: 'gamma' } });
      await until('the secondary is not started', { withinMs: 10_000 }, () => secondary.runnerPid() === null);
      secondary.boot();
      await pair.inSync({ withinMs: 60_000 });
    },
  );

  // Spec: "Both Servers are Down and Secondary Server Will Not Restart": the name that confirms it has to be the peer's.
  scenario(
    'removal by a primary that is alone is refused with the name of another server',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      secondary.die();
      primary.host.powerOn();
      primary.boot();
      await primary.shows('that removal is possible', { withinMs: 60_000 }, ({ availableActions }) =>
        availableActions.includes('remove'),
      );
      expect(await primary.refusal('DELETE', '/ha/configuration', { confirm: 'gamma' }, REMOVE)).toMatch(/beta/);
      secondary.host.powerOn();
      secondary.boot();
      await pair.inSync({ withinMs: 60_000 });
    },
  );

  // Spec: "Remove HA Configuration via the GUI".
  scenario(
    'a removal that a secondary did not hear of, as it has just died, says so, and it hears of it when it is back',
    { failoverType: 'manual' },
    async ({ primary, secondary }) => {
      secondary.die();
      await primary.perform('/ha/configuration', {}, REMOVE);
      await primary.refreshHistory();
      const told = primary.history.eventsSinceMark().find(({ code }) => code === 'removal-untold');
      expect(told?.message).toContain('beta has not answered');
      secondary.host.powerOn();
      secondary.boot();
      await secondary.reaches('HA Not Configured', { withinMs: 60_000 });
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
