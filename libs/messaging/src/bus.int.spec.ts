import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from '@nats-io/transport-node';
import { defineEvent, defineRequest } from '@understudy/contracts';
import { freePort, Secret, SILENT_LOGGER, SystemClock } from '@understudy/platform';
import { z } from 'zod';
import { Bus } from './bus.ts';
import { BusError } from './bus-error.ts';
import type { Order } from './order.ts';

const Ticked = defineEvent({
  reach: 'local',
  service: 'heartbeat',
  name: 'ticked',
  data: z.object({ count: z.int() }),
});
const Spoken = defineEvent({ reach: 'pair', service: 'heartbeat', name: 'spoken', data: z.object({ by: z.string() }) });
const Double = defineRequest({
  reach: 'local',
  service: 'heartbeat',
  kind: 'query',
  name: 'double',
  data: z.object({ value: z.int() }),
  reply: z.object({ value: z.int() }),
});
const Nobody = defineRequest({ ...Double, service: 'notifier', name: 'nobody' });
const Refused = defineRequest({ ...Double, service: 'heartbeat', name: 'refused' });
const Broken = defineRequest({ ...Double, service: 'heartbeat', name: 'broken' });
const Greet = defineRequest({ ...Double, reach: 'pair', service: 'heartbeat', name: 'greet' });

let directory: string;
let port: number;
let server: ChildProcess;
let bus: Bus;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bus-'));
  port = await freePort();
  writeFileSync(
    join(directory, 'nats.conf'),
    `listen: 127.0.0.1:${port}\nauthorization { user: app, password: secret }\n`,
  );
  server = await startServer();
  bus = await Bus.connect({
    credentials: { url: `nats://127.0.0.1:${port}`, user: 'app', password: new Secret('secret') },
    name: 'test',
    role: 'primary',
    logger: SILENT_LOGGER,
  });
  bus.handle(Double, ({ value }) => ({ value: value * 2 }));
  bus.handle(Refused, () => {
    throw new BusError('stale-epoch', 'epoch 3 is below 4', false);
  });
  bus.handle(Broken, () => {
    throw new TypeError('oops');
  });
});

afterAll(async () => {
  await bus.close();
  server.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

describe('a request', () => {
  it('brings back the checked answer', async () => {
    expect(await bus.request(Double, { value: 21 }, { timeoutMs: 5000 })).toEqual({ value: 42 });
  });

  it('throws what the responder said', async () => {
    expect(await failureOf(bus.request(Refused, { value: 1 }, { timeoutMs: 5000 }))).toMatchObject({
      code: 'stale-epoch',
      message: 'epoch 3 is below 4',
      retryable: false,
    });
  });

  it('reports the responder’s own fault as internal', async () => {
    expect(await failureOf(bus.request(Broken, { value: 1 }, { timeoutMs: 5000 }))).toMatchObject({ code: 'internal' });
  });

  it('fails at once when nobody answers', async () => {
    const begun = performance.now();
    expect(await failureOf(bus.request(Nobody, { value: 1 }, { timeoutMs: 5000 }))).toMatchObject({
      code: 'no-responder',
    });
    expect(performance.now() - begun).toBeLessThan(4000);
  });

  it('fails with its deadline when the answer does not come', async () => {
    const never = defineRequest({ ...Double, service: 'heartbeat', name: 'never' });
    const stop = bus.handle(never, () => new Promise(() => undefined));
    expect(await failureOf(bus.request(never, { value: 1 }, { timeoutMs: 200 }))).toMatchObject({
      code: 'deadline-exceeded',
      retryable: true,
    });
    stop();
  });

  it('is refused here when its data is wrong', async () => {
    const wrong = { value: 'x' } as unknown as { value: number };
    expect(await failureOf(bus.request(Double, wrong, { timeoutMs: 5000 }))).toMatchObject({ code: 'invalid-message' });
  });

  it('is answered with invalid-message and the field when a stranger sends wrong data', async () => {
    const stranger = await connect({ servers: `127.0.0.1:${port}`, user: 'app', pass: 'secret' });
    const before = bus.counters.invalidMessages;
    const answer = await stranger.request(Double.subject, '{"value":"x"}', { timeout: 5000 });
    expect(answer.json()).toMatchObject({
      ok: false,
      error: { code: 'invalid-message', fields: [{ pointer: '/value' }] },
    });
    const noJson = await stranger.request(Double.subject, '{', { timeout: 5000 });
    expect(noJson.json()).toMatchObject({ ok: false, error: { code: 'invalid-message' } });
    expect(bus.counters.invalidMessages).toBe(before + 2);
    await stranger.close();
  });

  it('of the pair is answered by the server it is addressed to', async () => {
    bus.handle(Greet, ({ value }) => ({ value: value + 1 }));
    expect(await bus.request(Greet, { value: 1 }, { timeoutMs: 5000, role: 'primary' })).toEqual({ value: 2 });
    expect(await failureOf(bus.request(Greet, { value: 1 }, { timeoutMs: 5000 }))).toMatchObject({
      code: 'no-responder',
    });
  });
});

describe('an event', () => {
  it('reaches who listens, in order', async () => {
    const heard: number[] = [];
    const stop = bus.subscribe(Ticked, ({ count }) => void heard.push(count));
    for (const count of [1, 2, 3]) expect(bus.publish(Ticked, { count })).toBe(true);
    await until(() => heard.length === 3);
    expect(heard).toEqual([1, 2, 3]);
    stop();
  });

  it('of the pair is heard of the peer, not of ourselves', async () => {
    const heard: string[] = [];
    const stop = bus.subscribe(Spoken, ({ by }) => void heard.push(by));
    bus.publish(Spoken, { by: 'ourselves' });
    bus.publish(Spoken, { by: 'the peer' }, { role: 'secondary' });
    await until(() => heard.length > 0);
    expect(heard).toEqual(['the peer']);
    stop();
  });
});

describe('a bus that fails', () => {
  it('when killed, fails everything at once, keeps nothing back, and works again when it is back', async () => {
    const heard: number[] = [];
    bus.subscribe(Ticked, ({ count }) => void heard.push(count));
    const never = defineRequest({ ...Double, service: 'heartbeat', name: 'under-way' });
    bus.handle(never, () => new Promise(() => undefined));
    await bus.flush(5000);
    const underWay = failureOf(bus.request(never, { value: 1 }, { timeoutMs: 30_000 }));
    await bus.flush(5000);
    await killServer();
    expect(await underWay).toMatchObject({ code: 'bus-disconnected' });
    expect(bus.connected).toBe(false);
    const begun = performance.now();
    expect(await failureOf(bus.request(Double, { value: 1 }, { timeoutMs: 5000 }))).toMatchObject({
      code: 'bus-disconnected',
    });
    expect(performance.now() - begun).toBeLessThan(4000);
    expect(bus.publish(Ticked, { count: 7 })).toBe(false);
    server = await startServer();
    await until(() => bus.connected);
    expect(await bus.request(Double, { value: 4 }, { timeoutMs: 5000 })).toEqual({ value: 8 });
    bus.publish(Ticked, { count: 8 });
    await until(() => heard.length > 0);
    expect(heard).toEqual([8]);
  }, 20_000);

  it('when replaced, carries a command out once that is repeated, unless its responder was replaced as well', async () => {
    const take = defineRequest({ ...Double, service: 'heartbeat', kind: 'command', name: 'take' });
    const taken: number[] = [];
    const goOn = Promise.withResolvers<void>();
    const handler = async ({ value }: { value: number }) => {
      taken.push(value);
      await goOn.promise;
      return { value: value + 1 };
    };
    const send = (value: number, order: Order) => bus.request(take, { value }, { timeoutMs: 5000, order });
    const orderNow = () => ({ id: randomUUID(), firstSentMs: new SystemClock().nowMs(), isRepeated: false });
    const stop = bus.handle(take, handler);
    const order = orderNow();
    const repeated = { ...order, isRepeated: true };
    const lost = failureOf(send(1, order));
    await until(() => taken.length === 1);
    await killServer();
    expect(await lost).toMatchObject({ code: 'bus-disconnected' });
    server = await startServer();
    await until(() => bus.connected);
    const answer = send(1, repeated);
    await bus.flush(5000);
    goOn.resolve();
    expect(await answer).toEqual({ value: 2 });
    expect(await send(1, repeated)).toEqual({ value: 2 });
    expect(taken).toEqual([1]);

    stop();
    bus.handle(take, handler);
    expect(await failureOf(send(1, repeated))).toMatchObject({ code: 'outcome-unknown', retryable: true });
    expect(taken).toEqual([1]);
    expect(await send(2, { ...orderNow(), isRepeated: true })).toEqual({ value: 3 });
    expect(await failureOf(send(3, { ...order, id: 'x' }))).toMatchObject({
      code: 'invalid-message',
      fields: [{ pointer: '/id' }],
    });
    expect(taken).toEqual([1, 2]);
  }, 20_000);

  it('when frozen, requests end with their deadline, and the loss is noticed', async () => {
    server.kill('SIGSTOP');
    await until(() => isFrozen(server.pid ?? 0));
    try {
      expect(await failureOf(bus.request(Double, { value: 1 }, { timeoutMs: 500 }))).toMatchObject({
        code: 'deadline-exceeded',
      });
      await until(() => !bus.connected, 10_000);
    } finally {
      server.kill('SIGCONT');
    }
    await until(() => bus.connected);
    expect(await bus.request(Double, { value: 4 }, { timeoutMs: 5000 })).toEqual({ value: 8 });
  }, 30_000);
});

async function failureOf(promise: Promise<unknown>): Promise<BusError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof BusError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

/** Every thread has taken the stop: until then one of them may still answer. */
function isFrozen(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').includes(') T '),
  );
}

async function startServer(): Promise<ChildProcess> {
  const child = spawn('nats-server', ['-c', join(directory, 'nats.conf')], { stdio: 'ignore' });
  await until(() => accepts(port));
  return child;
}

/** Resolves when its port is free again. */
async function killServer(): Promise<void> {
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}

function accepts(at: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(at, '127.0.0.1');
    socket.on('connect', () => resolve(socket.destroy() !== undefined));
    socket.on('error', () => resolve(false));
  });
}

async function until(condition: () => boolean | Promise<boolean>, limitMs = 8000): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
