import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DatabaseTask } from '@understudy/contracts';
import { SILENT_LOGGER } from '@understudy/platform';
import { StateFile } from '../adapters/state-file.ts';
import type { TaskContext } from '../ports/task-context.ts';
import { TaskDesk } from './task-desk.ts';

const TASK: DatabaseTask = { kind: 'start-active' };

let directory: string;
let desk: TaskDesk;
/** What was done for new tasks before anything was waited for. */
let atOnce: string[];
/** The tasks that have begun, in their order. */
let begun: { context: TaskContext; finish: () => void; fail: (error: Error) => void }[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'desk-'));
  begun = [];
  const work = (_task: DatabaseTask, context: TaskContext) =>
    new Promise<object>((resolve, reject) => void begun.push({ context, finish: () => resolve({}), fail: reject }));
  atOnce = [];
  const state = new StateFile(join(directory, 'state'), 'run');
  desk = new TaskDesk(work, state, SILENT_LOGGER, ({ kind }) => atOnce.push(kind));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function ask(taskId: string, more: { replaces?: string; holdMs?: number; epoch?: number } = {}) {
  return desk.perform({ taskId, epoch: 1, task: TASK, holdMs: 0, replaces: null, ...more });
}

/** The task that began as the nth, once it has. */
async function nth(index: number) {
  for (let look = 0; look < 500 && begun.length <= index; look++) await delay(2);
  return begun[index] as (typeof begun)[number];
}

describe('asked for another task while one is at work', () => {
  it('names the one at work, and begins the other when it has ended', async () => {
    expect(await ask('first')).toMatchObject({ state: 'running', taskId: 'first' });
    (await nth(0)).context.step('copying');
    expect(await ask('second')).toMatchObject({ state: 'running', taskId: 'first', step: 'copying' });
    expect(begun).toHaveLength(1);
    const held = ask('second', { holdMs: 5000 });
    (await nth(0)).finish();
    (await nth(1)).finish();
    expect(await held).toMatchObject({ state: 'succeeded' });
    expect(await ask('first')).toMatchObject({ state: 'succeeded' });
  });

  it('does what cannot wait for the new one at once, and only once', async () => {
    await ask('first');
    await ask('second');
    await ask('second');
    expect(atOnce).toEqual(['start-active', 'start-active']);
    expect(begun).toHaveLength(1);
    const first = await nth(0);
    first.finish();
    await delay(20);
    expect(await ask('first')).toMatchObject({ state: 'succeeded' });
    expect(atOnce).toHaveLength(2);
    expect(await ask('third', { epoch: 0 })).toMatchObject({ state: 'failed', code: 'stale-epoch' });
    expect(atOnce).toHaveLength(2);
  });

  it('cancels the one that it replaces, and waits for it to let go', async () => {
    await ask('first');
    expect(await ask('second', { replaces: 'first' })).toMatchObject({ state: 'running', taskId: 'first' });
    const first = await nth(0);
    expect(first.context.signal.aborted).toBe(true);
    expect(first.context.closing.aborted).toBe(false);
    const held = ask('second', { replaces: 'first', holdMs: 5000 });
    first.fail(first.context.signal.reason);
    (await nth(1)).finish();
    expect(await held).toMatchObject({ state: 'succeeded' });
    expect(await ask('first')).toMatchObject({ state: 'failed', code: 'superseded' });
  });

  it('cancels nothing else, and not itself', async () => {
    await ask('first', { replaces: 'first' });
    await ask('second', { replaces: 'another' });
    expect((await nth(0)).context.signal.aborted).toBe(false);
  });

  it('does not begin a task that a later one has replaced while it waited', async () => {
    await ask('first');
    const second = ask('second', { replaces: 'first', holdMs: 5000 });
    const third = ask('third', { replaces: 'second', holdMs: 5000 });
    (await nth(0)).finish();
    expect(await second).toMatchObject({ state: 'running' });
    (await nth(1)).finish();
    expect(await third).toMatchObject({ state: 'succeeded' });
    expect(begun).toHaveLength(2);
  });

  it('does not begin one of an older epoch either', async () => {
    await ask('first');
    const second = ask('second', { holdMs: 5000 });
    await ask('third', { epoch: 2 });
    (await nth(0)).finish();
    expect(await second).toMatchObject({ state: 'failed', code: 'stale-epoch' });
    expect(begun).toHaveLength(1);
  });
});

it('asked twice at the same time it does a task once', async () => {
  const answers = [ask('first', { holdMs: 5000 }), ask('first', { holdMs: 5000 })];
  (await nth(0)).finish();
  for (const answer of answers) expect(await answer).toMatchObject({ state: 'succeeded' });
  expect(begun).toHaveLength(1);
});

it('begins nothing any more when it is closed', async () => {
  await ask('first');
  const closed = desk.close();
  const first = await nth(0);
  first.fail(first.context.signal.reason);
  await closed;
  expect(await ask('second')).toMatchObject({ state: 'running', taskId: null });
  expect(begun).toHaveLength(1);
});
