import { expect } from '@jest/globals';
import { monotonicMs, until } from '../real-pair/deadline.ts';
import { scenariosOnRealPair } from './scenario.ts';

const PARTS = [
  'heartbeat',
  'health-monitor',
  'db-replication',
  'file-sync',
  'readiness-checker',
  'notifier',
  'patch-manager',
  'api-gateway',
  'nats-server',
  'redis-server',
] as const;

/** The killed part must be back before the peer has missed it, on a busy machine too: 15 s, as with the default times. */
const PATIENT_TIMES = { intervalSeconds: 1, missedLimit: 15, graceSeconds: 1, probeTimeoutSeconds: 1 };

scenariosOnRealPair(
  'a part of a server that is killed',
  { layout: 'separate', heartbeat: PATIENT_TIMES },
  (scenario) => {
    scenario(
      'PostgreSQL killed on the active server is restarted in place, without a failover and without the loss of a row',
      { failoverType: 'automatic' },
      async ({ pair, primary, secondary }) => {
        const writer = await pair.startWriter();
        const killed = primary.postmasterPid();

        const faultMs = monotonicMs();
        primary.host.kill(killed);
        await until('a write is acknowledged after the kill', { withinMs: 8000 }, () => {
          const newest = writer.log.acknowledged.at(-1);
          return newest !== undefined && newest.startMs > faultMs;
        });
        await writer.isWriting({ withinMs: 5000 });
        await pair.streams(primary, secondary, { withinMs: 15_000 });

        const { log, lost } = await pair.finish(writer, primary);
        expect(lost).toEqual([]);
        expect(new Set(log.acknowledged.map((row) => row.host))).toEqual(new Set([primary.host.address]));
        await pair.mark();
        expect(primary.history.sinceMark()).toEqual(['Primary Active']);
        expect(pair.application.starts()).toEqual([]);
      },
    );

    for (const part of PARTS) {
      scenario(
        `${part} killed on the active server comes back, and nothing happens to the pair`,
        { failoverType: 'automatic' },
        async ({ pair, primary, secondary }) => {
          const writer = await pair.startWriter();
          const killed = primary.servicePid(part);

          primary.host.kill(killed);
          await until(`${part} runs again`, { withinMs: 15_000 }, () => primary.servicePid(part) !== killed);
          await primary.shows(
            'itself active and its peer in reach',
            { withinMs: 15_000 },
            (status) => status.peer?.reachable === true,
          );
          await secondary.shows('its peer in reach', { withinMs: 15_000 }, (status) => status.peer?.reachable === true);
          await writer.isWriting({ withinMs: 3000, forMs: 1500 });

          const { lost } = await pair.finish(writer, primary);
          expect(lost).toEqual([]);
          await pair.primary.refreshHistory();
          await pair.secondary.refreshHistory();
          expect(primary.history.sinceMark()).toEqual(['Primary Active']);
          expect(secondary.history.sinceMark()).toEqual(['Secondary Syncing']);
          expect(pair.application.starts()).toEqual([]);
          expect(pair.application.runsOn(primary.host)).toBe(true);
        },
      );
    }
  },
);

scenariosOnRealPair('a part of a server that hangs', { layout: 'separate' }, (scenario) => {
  scenario(
    'while the heartbeat service of the primary hangs neither server claims to hear the other, and nobody takes over; it is replaced, and the pair is in sync',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      await pair.mark();
      const hung = primary.servicePid('heartbeat');

      primary.host.freeze(hung);
      await primary.reaches('Primary Lost Secondary', { withinMs: 20_000 });
      await until('it is replaced', { withinMs: 40_000 }, () => primary.servicePid('heartbeat') !== hung);
      await pair.inSync({ withinMs: 30_000 });
      await writer.isWriting({ withinMs: 3000 });

      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
      await primary.refreshHistory();
      await secondary.refreshHistory();
      expect(primary.history.sinceMark()).toEqual(['Primary Active', 'Primary Lost Secondary', 'Primary Active']);
      expect(secondary.history.sinceMark()).toEqual([
        'Secondary Syncing',
        'Secondary Lost Primary',
        'Secondary Syncing',
      ]);
    },
  );
});
