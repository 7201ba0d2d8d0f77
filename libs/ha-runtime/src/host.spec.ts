import { describe, expect, it } from '@jest/globals';
import { type Decision, type HaEvent, newRecord, type ServerRecord } from '@understudy/ha-core';
import { DecisionTooLate, HaHost, OrderTooLate } from './host.ts';
import { type RuntimePorts, UNTRACED } from './ports.ts';

/** A state machine whose disk takes a record only when it is let, and the events that it decided on. */
function hangingDisk() {
  let nowMs = 0;
  const decided: HaEvent[] = [];
  const writes: PromiseWithResolvers<void>[] = [];
  const broken: unknown[] = [];
  const ports = {
    clock: { nowMs: () => nowMs, unixMs: () => nowMs },
    journal: {
      write: (_: ServerRecord) => {
        const write = Promise.withResolvers<void>();
        writes.push(write);
        return write.promise;
      },
    },
    tracing: UNTRACED,
    announce: (_: Decision, event: HaEvent) => void decided.push(event),
  } as unknown as RuntimePorts;
  const settings = {
    maximumLagBytes: 0,
    minimumBetweenFailoversMs: 0,
    replication: 'async' as const,
    wordLastsMs: 0,
    witness: null,
  };
  const host = new HaHost(ports, newRecord('secondary', 'run'), settings, (error) => broken.push(error));
  void host.beginNothing(); // no effects: they are not what this is about
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    host,
    decided,
    broken,
    turn,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** The disk answers, for all that it is asked for. */
    answers: async () => {
      for (let turns = 0; turns < 20; turns++) {
        for (const write of writes.splice(0)) write.resolve();
        await turn();
      }
    },
    fails: (error: Error) => {
      for (const write of writes.splice(0)) write.reject(error);
    },
  };
}

describe('the state machine of a server whose disk hangs', () => {
  it('decides on the last of the passing facts that came meanwhile, and on everything else in its order', async () => {
    const { host, decided, turn, answers } = hangingDisk();
    const boot = host.submit({ type: 'boot', runId: 'r', sameRun: false, atMs: 0 });
    await turn();
    const ticks = [1, 2, 3].map((second) => host.submit({ type: 'tick', unixMs: second, atMs: second }));
    const lost = host.submit({ type: 'peer-lost', atMs: 4 });
    const failed = ['one', 'two'].map((process) => host.submit({ type: 'process-failed', process, atMs: 5 }));
    const last = host.submit({ type: 'tick', unixMs: 6, atMs: 6 });
    await turn();
    expect(decided).toEqual([]);
    await answers();
    expect(decided.map(({ type, atMs }) => `${type} ${atMs}`)).toEqual([
      'boot 0',
      'peer-lost 4',
      'process-failed 5',
      'process-failed 5',
      'tick 6',
    ]);
    await Promise.all([boot, lost, ...failed]);
    for (const tick of ticks) expect(await tick).toBe(await last);
  });

  it('does not carry out an order that nobody waits for any more, and goes on', async () => {
    const { host, decided, broken, pass, turn, answers } = hangingDisk();
    const boot = host.submit({ type: 'boot', runId: 'r', sameRun: false, atMs: 0 });
    await answers();
    void host.submit({ type: 'effects-completed', decisionId: (await boot).decisionId ?? '', results: {}, atMs: 0 });
    await turn();
    const order = host.submit({ type: 'operator-cancel', atMs: 0 });
    const refused = expect(order).rejects.toThrow(OrderTooLate);
    pass(16_000);
    await answers();
    await refused;
    await expect(order).rejects.toThrow('the disk did not answer for 16 s: order it again');
    expect((await host.submit({ type: 'tick', unixMs: 1, atMs: 16_000 })).server.record.role).toBe('secondary');
    expect(decided.map(({ type }) => type)).toEqual(['boot', 'effects-completed', 'tick']);
    expect(broken).toEqual([]);
  });

  it('does not act on a decision that became durable when what it was made on was long past', async () => {
    const { host, decided, broken, pass, turn, answers } = hangingDisk();
    const boot = host.submit({ type: 'boot', runId: 'r', sameRun: false, atMs: 0 });
    const late = expect(boot).rejects.toThrow(DecisionTooLate);
    await turn();
    pass(120_000);
    await answers();
    await late;
    expect(broken).toMatchObject([{ message: 'the decision on boot was durable only after 120 s' }]);
    expect(decided).toEqual([]);
  });

  it('leaves no rejection behind that nobody has looked at, when those who submit do not wait', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const { host, broken, turn, fails } = hangingDisk();
      void host.submit({ type: 'boot', runId: 'r', sameRun: false, atMs: 0 });
      for (const atMs of [1, 2]) void host.submit({ type: 'tick', unixMs: atMs, atMs });
      await turn();
      fails(new Error('no space left'));
      for (let turns = 0; turns < 20; turns++) await turn();
      expect(broken).toHaveLength(1);
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('ends with the first record that cannot be written, and tells everybody who waits', async () => {
    const { host, decided, broken, turn, fails } = hangingDisk();
    const boot = host.submit({ type: 'boot', runId: 'r', sameRun: false, atMs: 0 });
    const ticks = [1, 2].map((second) => host.submit({ type: 'tick', unixMs: second, atMs: second }));
    await turn();
    const outcomes = Promise.allSettled([boot, ...ticks]);
    fails(new Error('no space left'));
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(broken).toMatchObject([{ message: 'no space left' }]);
    expect(decided).toEqual([]);
  });
});
