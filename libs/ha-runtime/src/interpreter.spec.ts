import { describe, expect, it } from '@jest/globals';
import type { Effect, HaEvent } from '@understudy/ha-core';
import { Interpreter } from './interpreter.ts';
import { type RuntimePorts, UNTRACED } from './ports.ts';

/** An interpreter whose processes stop only when they are told to, and what it did. */
function hangingStop() {
  const done: string[] = [];
  const reported: HaEvent[] = [];
  const stopped = Promise.withResolvers<void>();
  const ports = {
    tracing: UNTRACED,
    clock: { nowMs: () => 0, unixMs: () => 0 },
    processes: {
      stopAll: () => stopped.promise,
      startAll: async () => void done.push('start'),
      killAll: async () => void done.push('kill'),
    },
    database: {
      openActive: async () => void done.push('open'),
      stop: async () => ({ lsn: null, hasDatabase: true }),
      fence: async () => void done.push('fence'),
    },
  } as unknown as RuntimePorts;
  const interpreter = new Interpreter(ports, (event) => reported.push(event));
  return { done, reported, stopped, interpreter };
}

const effect = (kind: 'stop-processes' | 'open-database' | 'fence'): Effect => ({ kind, epoch: 1 });
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('effects of a later decision', () => {
  it('wait until those of the earlier one have let go', async () => {
    const { done, stopped, interpreter } = hangingStop();
    interpreter.perform('a', [effect('stop-processes')]);
    await turn();
    interpreter.perform('b', [effect('open-database')]);
    await turn();
    expect(done).toEqual([]);
    stopped.resolve();
    await turn();
    expect(done).toEqual(['open']);
  });

  it('close at once what has lost its right to serve, whatever is being waited for, and once more when that has let go', async () => {
    const { done, reported, stopped, interpreter } = hangingStop();
    interpreter.perform('a', [effect('stop-processes')]);
    await turn();
    interpreter.perform('b', [effect('fence')]);
    await turn();
    expect(done.sort()).toEqual(['fence', 'kill']);
    expect(reported).toEqual([]);
    stopped.resolve();
    await turn();
    expect(done).toHaveLength(4);
    expect(reported).toMatchObject([{ type: 'effects-completed', decisionId: 'b' }]);
  });
});
