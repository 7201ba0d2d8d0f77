import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { WITNESS_SECTION, Witness } from '../real-pair/witness.ts';
import type { Writer } from '../writer/writer.ts';
import { scenariosOnRealPair } from './scenario.ts';

/** The primary has its lease, the secondary is armed, and each is written to: the primary from within its own host. */
async function readyForTheCut(pair: RealPair) {
  const { primary, secondary } = pair;
  await primary.shows(
    'its lease',
    { withinMs: 20_000 },
    ({ witness }) => witness?.holder?.role === 'primary' && (witness.leaseRemainingSeconds ?? 0) > 0,
  );
  await secondary.shows('that it is armed', { withinMs: 20_000 }, ({ automaticFailover }) => automaticFailover.armed);
  const inner = await pair.startWriter([`${primary.host.address}:5432`], primary.host);
  const outer = await pair.startWriter([`${secondary.host.address}:5432`]);
  await until('the primary is written to', { withinMs: 10_000 }, () => inner.log.acknowledged.length > 5);
  return { inner, outer };
}

/** The active secondary has every row of the writer, and gives the role back. */
async function failsBackWithEveryRow(pair: RealPair, writer: Writer): Promise<void> {
  const { lost } = await pair.finish(writer, pair.secondary);
  expect(lost).toEqual([]);
  await pair.stopWriters();
  await pair.secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
  await pair.inSync({ withinMs: 30_000 });
}

/** Processes of PostgreSQL; a health monitor that starts asks the program for its version. */
const databasesOn = ({ host }: UnderstudyServer) =>
  host.processes().filter(({ name, commandLine }) => name === 'postgres' && !commandLine.includes('--version'));

scenariosOnRealPair(
  'a pair with a witness',
  { layout: 'separate', sections: { witness: WITNESS_SECTION } },
  (scenario) => {
    // Decision: docs/decisions/0011-witness.md.
    scenario(
      'when the primary is cut off from everything it closes itself before the secondary takes over, and no row is written on both',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        for (const server of pair.servers)
          await server.shows('the witness', { withinMs: 20_000 }, ({ witness }) => witness?.reachable === true);
        const { inner, outer } = await readyForTheCut(pair);

        primary.host.cutLink();
        await primary.reaches('Primary Failover', { withinMs: 10_000 });
        await secondary.reaches('Secondary Active', { withinMs: 20_000 });
        await until('the secondary is written to', { withinMs: 10_000 }, () => outer.log.acknowledged.length > 5);
        const lastInside = inner.log.acknowledged.at(-1);
        const firstOutside = outer.log.acknowledged[0];
        expect(lastInside?.atMs).toBeLessThan(firstOutside?.startMs ?? 0);
        expect(pair.application.runsOn(primary.host)).toBe(false);

        primary.host.healLink();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        expect(inner.log.acknowledged.at(-1)).toEqual(lastInside);
        await failsBackWithEveryRow(pair, outer);
      },
    );

    // Decision: docs/decisions/0010-removal.md.
    scenario(
      'when HA is removed on a primary that cannot reach its secondary, the witness tells that one, and the primary alone serves',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const { inner } = await readyForTheCut(pair);
        await pair.mark();
        for (const { host } of pair.servers) host.isolate(true);
        await secondary.reaches('Secondary Lost Primary', { withinMs: 30_000 });
        const order = { confirm: secondary.description.name };
        await primary.perform('/ha/configuration', order, { method: 'DELETE', withinMs: 30_000 });
        await secondary.reaches('HA Not Configured', { withinMs: 30_000 });
        expect(secondary.history.sinceMark().slice(-2)).toEqual(['Secondary Lost Primary', 'HA Not Configured']);
        await inner.isWriting({ withinMs: 10_000 });
        expect(pair.application.runsOn(secondary.host)).toBe(false);

        for (const { host } of pair.servers) host.isolate(false);
        for (const server of pair.servers) await server.canBePaired({ withinMs: 60_000 });
        // each bus starts again without the other's link
        await until('they are a pair again', { withinMs: 60_000 }, async () => {
          await pair.register('automatic');
          return true;
        });
        await pair.inSync({ withinMs: 60_000 });
      },
    );

    scenario(
      'when the health monitor of a cut-off primary hangs, its runner closes the server before the secondary takes over',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const { inner, outer } = await readyForTheCut(pair);

        primary.host.freeze(primary.servicePid('health-monitor'));
        primary.host.cutLink();
        await secondary.reaches('Secondary Active', { withinMs: 20_000 });
        // nobody starts it again while there is no right to serve
        for (let look = 0; look < 20; look++) {
          expect(databasesOn(primary)).toEqual([]);
          await delay(50);
        }
        await until('the secondary is written to', { withinMs: 10_000 }, () => outer.log.acknowledged.length > 5);
        const firstOutside = outer.log.acknowledged[0];
        expect(inner.log.acknowledged.at(-1)?.atMs).toBeLessThan(firstOutside?.startMs ?? 0);

        primary.host.healLink();
        await pair.inSyncSwapped({ withinMs: 90_000 });
        expect(inner.log.acknowledged.at(-1)?.atMs).toBeLessThan(firstOutside?.startMs ?? 0);
        await failsBackWithEveryRow(pair, outer);
      },
    );

    scenario(
      'when the health monitor of the primary is gone for good while the rest of it lives, the runner closes the server and the secondary takes over',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const writer = await pair.startWriter();
        // as on a disk that cannot be written any more: no decision can be kept, so no health monitor stays
        const restore = primary.breakJournal();
        primary.host.kill(primary.servicePid('health-monitor'));
        await secondary.reaches('Secondary Active', { withinMs: 30_000 });
        await writer.isWriting({ withinMs: 10_000 });
        expect(databasesOn(primary)).toEqual([]);

        restore();
        await pair.inSyncSwapped({ withinMs: 90_000 });
        await failsBackWithEveryRow(pair, writer);
      },
    );

    scenario(
      'when the runner of the active server is killed, nothing of its application is left when the other server may serve, and the pair is in sync again',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const writer = await pair.startWriter();
        const runner = primary.runnerPid();
        if (runner === null) throw new Error('the primary does not run');
        primary.host.kill(runner);
        // as systemd does it
        await until('the runner has ended', { withinMs: 5000 }, () => primary.runnerPid() === null);
        await delay(1000);
        primary.boot();
        // whichever of the two serves now: the application never ran on both, which is checked for every scenario
        await until('the pair is in sync', { withinMs: 60_000 }, async () => {
          const states = await Promise.all(pair.servers.map(async (server) => (await server.status())?.state));
          return ['Primary Active,Secondary Syncing', 'Primary Syncing,Secondary Active'].includes(states.join());
        });
        await writer.isWriting({ withinMs: 10_000 });
        const isSwapped = (await secondary.status())?.currentRole === 'active';
        const { lost } = await pair.finish(writer, isSwapped ? secondary : primary);
        expect(lost).toEqual([]);
      },
    );

    scenario(
      'without the witness the pair goes on, and when the link is cut too nobody takes over and the primary closes; healed, it serves again by itself',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        await primary.shows('the witness', { withinMs: 20_000 }, ({ witness }) => witness?.reachable === true);
        const writer = await pair.startWriter();
        new Witness(pair.stage.n3).kill();
        await primary.shows('that the witness is gone', { withinMs: 20_000 }, ({ witness }) => !witness?.reachable);
        await writer.isWriting({ withinMs: 5000, forMs: 5000 });
        await pair.mark();

        primary.host.cutLink();
        await primary.reaches('Primary Failover', { withinMs: 10_000 });
        await secondary.reaches('Secondary Lost Primary', { withinMs: 10_000 });
        await expect(secondary.reaches('Secondary Active', { withinMs: 12_000 })).rejects.toThrow('not within');
        primary.host.healLink();
        await pair.inSync({ withinMs: 60_000 });
        await writer.isWriting({ withinMs: 10_000 });
        const { lost } = await pair.finish(writer, primary);
        expect(lost).toEqual([]);
      },
    );

    // Decision: docs/decisions/0012-replaced-primary.md.
    scenario(
      'when the lost primary is replaced, the secondary serves on under a lease of the new pair, also without the new primary',
      // the new machine serves what it has of its own until it is told whose place it takes
      { failoverType: 'automatic', bothActive: true, timeoutMs: 300_000 },
      async ({ pair, primary: old, secondary }) => {
        const { inner, outer } = await readyForTheCut(pair);
        old.die();
        await secondary.reaches('Secondary Active', { withinMs: 30_000 });
        await until('the secondary is written to', { withinMs: 10_000 }, () => outer.log.acknowledged.length > 5);
        await inner.stop().catch(() => undefined);

        pair.bringNewPrimary();
        const { primary } = pair;
        await primary.canBePaired({ withinMs: 90_000 });
        await pair.mark();
        const order = { ...pair.registration('automatic'), replacePrimary: true, confirmed: true };
        await primary.perform('/ha/configuration', order, { method: 'PUT', withinMs: 60_000 });
        await pair.inSyncSwapped({ withinMs: 90_000 });

        primary.host.cutLink();
        await delay(9000); // longer than any answer of the new primary counts
        await outer.isWriting({ withinMs: 1000, forMs: 8000 });
        await secondary.shows(
          'its lease',
          { withinMs: 1000 },
          ({ witness }) => witness?.holder?.role === 'secondary' && (witness.leaseRemainingSeconds ?? 0) > 0,
        );
        primary.host.healLink();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        expect(secondary.history.sinceMark()).toEqual(['Secondary Active']);
        const { lost } = await pair.finish(outer, secondary);
        expect(lost).toEqual([]);
        await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
        await pair.inSync({ withinMs: 30_000 });
      },
    );
  },
);
