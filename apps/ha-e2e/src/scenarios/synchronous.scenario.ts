import { setTimeout as delay } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { monotonicMs } from '../real-pair/deadline.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { WITNESS_SECTION } from '../real-pair/witness.ts';
import { scenariosOnRealPair } from './scenario.ts';

const SYNCHRONOUS = { ...DATABASE_SECTION, replication: 'sync' } as const;

const isProtected = (server: UnderstudyServer, withinMs = 30_000) =>
  server.shows('that its data are protected', { withinMs }, ({ database }) => database.protected && !database.exposed);

const isExposed = (server: UnderstudyServer, withinMs = 30_000) =>
  server.shows('that it may miss something', { withinMs }, ({ database }) => database.exposed === true);

// Decision: docs/decisions/0013-synchronous-replication.md.
scenariosOnRealPair(
  'synchronous replication with a witness',
  { sections: { database: SYNCHRONOUS, witness: WITNESS_SECTION } },
  (scenario) => {
    scenario(
      'when the host of the primary dies no acknowledged row is lost, and commits wait again for the primary once it is back',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        await isProtected(secondary);
        const writer = await pair.startWriter();
        await writer.isWriting({ withinMs: 10_000, forMs: 2000 });
        primary.die();
        await secondary.reaches('Secondary Active', { withinMs: 20_000 });
        await writer.isWriting({ withinMs: 10_000 });
        await isExposed(secondary, 5000);

        primary.host.powerOn();
        primary.boot();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        await isProtected(secondary);
        await isProtected(primary);
        const { lost } = await pair.finish(writer, secondary);
        expect(lost).toEqual([]);

        await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
        await pair.inSync({ withinMs: 30_000 });
        await isProtected(primary);
      },
    );

    scenario(
      'when the host of the secondary dies the writer goes on after a short wait, both servers know what is missing, and it is protected again later',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        const writer = await pair.startWriter();
        const diedAtMs = monotonicMs();
        secondary.die();
        await isExposed(primary);
        await writer.isWriting({ withinMs: 20_000, forMs: 2000 });
        expect(writer.log.longestOutageSince(diedAtMs)?.durationMs).toBeLessThan(15_000);

        // the primary dies too: what it has acknowledged alone is not known to nobody
        primary.die();
        secondary.host.powerOn();
        secondary.boot();
        await secondary.reaches('Secondary Lost Primary', { withinMs: 60_000 });
        await isExposed(secondary);
        await secondary.shows('that failover is possible', { withinMs: 30_000 }, ({ availableActions }) =>
          availableActions.includes('failover'),
        );
        const word = await secondary.refusal('POST', '/ha/failover', { acceptDataLoss: false }, { withinMs: 5000 });
        expect(word).toContain('may have acknowledged writes that are missing here');

        primary.host.powerOn();
        primary.boot();
        await pair.inSync({ withinMs: 60_000 });
        await isProtected(primary);
        const { lost } = await pair.finish(writer, primary);
        expect(lost).toEqual([]);
      },
    );

    scenario(
      'when the primary is cut off for a minute no acknowledged row is lost or set aside',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        await isProtected(secondary);
        const inner = await pair.startWriter([`${primary.host.address}:5432`], primary.host);
        await inner.isWriting({ withinMs: 10_000, forMs: 2000 });
        primary.host.cutLink();
        await secondary.reaches('Secondary Active', { withinMs: 30_000 });
        await delay(60_000);
        primary.host.healLink();
        await pair.inSyncSwapped({ withinMs: 60_000 });
        await isProtected(secondary);
        const { lost } = await pair.finish(inner, secondary);
        expect(lost).toEqual([]);
        await pair.stopWriters();
        await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
        await pair.inSync({ withinMs: 30_000 });
      },
    );
  },
);

scenariosOnRealPair(
  'synchronous replication without a witness',
  { sections: { database: SYNCHRONOUS } },
  (scenario) => {
    scenario(
      'when the database of the secondary stops the writer goes on as soon as the secondary knows, and it is protected again',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const writer = await pair.startWriter();
        const stoppedAtMs = monotonicMs();
        const postmaster = secondary.postmasterPid();
        secondary.host.freeze(postmaster);
        for (const { pid, commandLine } of secondary.host.processes())
          if (commandLine.includes('walreceiver')) secondary.host.freeze(pid);
        await isExposed(primary);
        await isExposed(secondary);
        await writer.isWriting({ withinMs: 20_000, forMs: 2000 });
        expect(writer.log.longestOutageSince(stoppedAtMs)?.durationMs).toBeLessThan(20_000);
        secondary.host.kill(postmaster);
        await pair.inSync({ withinMs: 60_000 });
        await isProtected(primary);
        const { lost } = await pair.finish(writer, primary);
        expect(lost).toEqual([]);
      },
    );

    scenario(
      'when the host of the primary dies no acknowledged row is lost',
      { failoverType: 'automatic', timeoutMs: 240_000 },
      async ({ pair, primary, secondary }) => {
        await isProtected(secondary);
        const writer = await pair.startWriter();
        await writer.isWriting({ withinMs: 10_000, forMs: 2000 });
        primary.die();
        await secondary.reaches('Secondary Active', { withinMs: 20_000 });
        await writer.isWriting({ withinMs: 10_000 });
        const { lost } = await pair.finish(writer, secondary);
        expect(lost).toEqual([]);
        primary.host.powerOn();
        primary.boot();
        await pair.inSyncSwapped({ withinMs: 60_000 });
      },
    );
  },
);
