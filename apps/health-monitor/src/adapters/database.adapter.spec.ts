import { expect, it } from '@jest/globals';
import { type EffectContext, EffectError } from '@understudy/ha-runtime';
import type { Bus } from '@understudy/messaging';
import { SystemClock } from '@understudy/platform';
import { DatabaseAdapter } from './database.adapter.ts';

const DONE = {
  state: 'succeeded',
  result: { lsn: null, timeline: 1, method: 'none', setAside: null, setAsideBytes: 0, durationMs: 1 },
};
const working = (taskId: string | null, progress = 0) => ({
  ...{ state: 'running', taskId, step: 'copying', progress, percent: 40 },
});

/** An adapter whose requests get these answers, one after the other; and what was asked. */
function scripted(...answers: object[]) {
  const asked: { taskId: string; replaces: string | null }[] = [];
  const request = async (_definition: unknown, data: { taskId: string; replaces: string | null }) => {
    asked.push({ taskId: data.taskId, replaces: data.replaces });
    return answers.shift();
  };
  return { adapter: new DatabaseAdapter({ request } as unknown as Bus, new SystemClock()), asked };
}

function effect(taskId: string, steps: (string | number | null)[] = []): EffectContext {
  const progress = (step: string, percent: number | null) => void steps.push(step, percent);
  return { taskId, epoch: 1, signal: new AbortController().signal, progress };
}

it('asks on while an earlier task lets go, cancels that by its name, and does not fail over it', async () => {
  const { adapter, asked } = scripted(working('left over', 900), working('left over', 900), working('mine', 0), DONE);
  const steps: (string | number | null)[] = [];
  await adapter.openActive(effect('mine', steps));
  expect(asked.map(({ replaces }) => replaces)).toEqual([null, 'left over', 'left over', 'left over']);
  expect(steps.slice(0, 2)).toEqual(['start-active: waiting for the end of an earlier task (copying)', null]);
  expect(steps.slice(-2)).toEqual(['start-active: copying', 40]);
});

it('replaces its own task of before, whoever is at work', async () => {
  const { adapter, asked } = scripted(DONE, working(null), DONE);
  await adapter.openActive(effect('first'));
  await adapter.stop(effect('second'));
  expect(asked).toEqual([
    { taskId: 'first', replaces: null },
    { taskId: 'second', replaces: 'first' },
    { taskId: 'second', replaces: null },
  ]);
});

it('lets go at once when a later decision comes, without the answer it waits for', async () => {
  const silent = { request: () => new Promise(() => undefined) } as unknown as Bus;
  const abort = new AbortController();
  const opened = new DatabaseAdapter(silent, new SystemClock()).openActive({
    ...effect('first'),
    signal: abort.signal,
  });
  abort.abort();
  await expect(opened).rejects.toMatchObject({ code: 'superseded' });
});

it('a failure keeps its code', async () => {
  const { adapter } = scripted({ state: 'failed', code: 'start-failed', message: 'no room' });
  await expect(adapter.openActive(effect('first'))).rejects.toThrow(new EffectError('start-failed', 'no room'));
});
