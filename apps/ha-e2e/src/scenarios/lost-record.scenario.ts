import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { scenariosOnRealPair } from './scenario.ts';

const ALL_IS_LOST = { withStore: true };

/** Comes back after it was down, without its record. */
function bootWithoutRecord(server: UnderstudyServer, lost = ALL_IS_LOST): void {
  server.loseRecord(lost);
  server.host.powerOn();
  server.boot();
}

async function codesOf(server: UnderstudyServer): Promise<string[]> {
  const { json } = await server.rest('GET', '/ha/events?limit=200');
  return (json as { events: { code: string }[] }).events.map(({ code }) => code);
}

/** Decision: docs/decisions/0014-lost-record.md */
scenariosOnRealPair('a server that loses its record', {}, (scenario) => {
  scenario(
    'a primary that was active and comes back without any memory is known by the secondary as the last owner, and no row is lost',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      await writer.isWriting({ withinMs: 5000 });
      primary.die();
      await secondary.reaches('Secondary Lost Primary', { withinMs: 15_000 });
      bootWithoutRecord(primary);
      await pair.inSync({ withinMs: 90_000 });
      expect(await codesOf(primary)).toEqual(expect.arrayContaining(['record-lost', 'record-rebuilt']));
      await writer.isWriting({ withinMs: 5000 });
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
    },
  );

  scenario(
    'a primary that comes back without any memory after the secondary has taken over follows it, and never serves beside it',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      primary.die();
      await secondary.reaches('Secondary Active', { withinMs: 60_000 });
      await writer.isWriting({ withinMs: 15_000 });
      bootWithoutRecord(primary);
      await pair.inSyncSwapped({ withinMs: 90_000 });
      await until('it says what the record was rebuilt from', { withinMs: 10_000 }, async () =>
        (await codesOf(primary)).includes('record-rebuilt'),
      );
      expect(pair.application.starts()).toEqual(['n2']);
      await pair.finish(writer, secondary);
    },
  );

  scenario(
    'a primary that comes back without any memory and hears nobody serves nothing, says what it cannot know, and is offered an order',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      primary.die();
      secondary.die();
      bootWithoutRecord(primary);
      const seen = await primary.shows('the order to act alone', { withinMs: 60_000 }, ({ availableActions }) =>
        availableActions.includes('activate-alone'),
      );
      expect(seen.stateReason).toContain(
        'record lost: the journal of this server is gone; the node store has no record',
      );
      expect(seen.currentRole).toBe('none');
      expect(await primary.refusal('POST', '/ha/activate-alone', { confirm: 'beta' }, { withinMs: 30_000 })).toContain(
        'repeat with acceptDataLoss',
      );
      expect(pair.application.starts()).toEqual([]);
      await primary.perform('/ha/activate-alone', { confirm: 'beta', acceptDataLoss: true }, { withinMs: 60_000 });
      secondary.host.powerOn();
      secondary.boot();
      await pair.inSync({ withinMs: 90_000 });
    },
  );

  scenario(
    'a standby that comes back without its journal takes the record from its node store, follows, and is whole again',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const writer = await pair.startWriter();
      secondary.die();
      await primary.reaches('Primary Lost Secondary', { withinMs: 15_000 });
      bootWithoutRecord(secondary, { withStore: false });
      await pair.inSync({ withinMs: 90_000 });
      expect(await codesOf(secondary)).toEqual(expect.arrayContaining(['record-lost', 'record-rebuilt']));
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
    },
  );

  scenario(
    'when both servers come back without any memory nothing is served until an operator says which one',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      for (const server of pair.servers) server.die();
      for (const server of pair.servers) bootWithoutRecord(server);
      await secondary.shows('the order to take over', { withinMs: 60_000 }, ({ availableActions }) =>
        availableActions.includes('failover'),
      );
      await primary.shows('the order to act alone', { withinMs: 60_000 }, ({ availableActions }) =>
        availableActions.includes('activate-alone'),
      );
      expect(pair.application.starts()).toEqual([]);
      await primary.perform('/ha/activate-alone', { confirm: 'beta', acceptDataLoss: true }, { withinMs: 60_000 });
      await pair.inSync({ withinMs: 90_000 });
      expect(pair.application.starts()).toEqual(['n1']);
    },
  );

  scenario(
    'an active server whose journal is removed while it runs writes it anew from memory, and nothing happens to the pair',
    { failoverType: 'automatic' },
    async ({ pair, primary }) => {
      const writer = await pair.startWriter();
      primary.loseRecord({ withStore: false });
      const file = join(primary.dataDirectory, 'journal', 'decisions');
      await until('the journal is there again', { withinMs: 10_000 }, () => existsSync(file));
      await until('it is told', { withinMs: 10_000 }, async () =>
        (await codesOf(primary)).includes('journal-rewritten'),
      );
      await pair.inSync({ withinMs: 10_000 });
      const { lost } = await pair.finish(writer, primary);
      expect(lost).toEqual([]);
      await primary.refreshHistory();
      expect(primary.history.sinceMark()).toEqual(['Primary Active']);
    },
  );
});
