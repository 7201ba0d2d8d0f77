import { describe, expect, it } from '@jest/globals';
import type { Bus } from '@understudy/messaging';
import { type Clock, type NodeStore, SILENT_LOGGER } from '@understudy/platform';
import { EventLog } from './event-log.ts';

const UNIX_SECONDS = 1_800_000_000;

/** The id that the first event of a start gets, by what the store has. */
async function firstIdWith(lines: readonly string[], hasBegun: boolean): Promise<number | undefined> {
  const client = { lrange: async () => lines, lpush: async () => 1, ltrim: async () => 'OK' };
  const bus = { publish: () => undefined } as unknown as Bus;
  const clock = { nowMs: () => 0, unixMs: () => UNIX_SECONDS * 1000 } as Clock;
  const log = new EventLog('alpha', bus, { client } as unknown as NodeStore, clock, SILENT_LOGGER);
  await log.load({ hasBegun });
  log.note({ severity: 'info', code: 'c', message: 'm' });
  return log.list(null, 1)[0]?.id;
}

const stored = (id: number) =>
  JSON.stringify({
    id,
    at: '2026-11-29T00:00:00.000Z',
    server: 'alpha',
    severity: 'info',
    code: 'c',
    message: 'm',
    state: null,
    previousState: null,
    rule: null,
    epoch: null,
  });

describe('the ids of events', () => {
  it('go on after the last one, and begin with 1 on a new server', async () => {
    expect(await firstIdWith([stored(7), stored(6)], true)).toBe(8);
    expect(await firstIdWith([], false)).toBe(1);
  });

  it('still grow when the node store was lost: who follows the list asks for those above the last', async () => {
    expect(await firstIdWith([], true)).toBe(UNIX_SECONDS);
  });
});
