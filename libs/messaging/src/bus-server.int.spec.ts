import { type ChildProcess, spawn } from 'node:child_process';
import { connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { connect } from '@nats-io/transport-node';
import { Controller, type INestApplicationContext, Module } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { defineEvent, defineRequest } from '@understudy/contracts';
import { freePort, Secret, SILENT_LOGGER } from '@understudy/platform';
import { z } from 'zod';
import { Bus } from './bus.ts';
import { createBusApplication } from './bus-application.ts';
import { BusError } from './bus-error.ts';

const identity = { reach: 'local', service: 'notifier', kind: 'query' } as const;
const data = z.object({ value: z.int() });
const Double = defineRequest({ ...identity, name: 'double', data, reply: z.object({ value: z.int() }) });
const Refused = defineRequest({ ...identity, name: 'refused', data, reply: z.object({}) });
const Broken = defineRequest({ ...identity, name: 'broken', data, reply: z.object({}) });
const Ticked = defineEvent({ reach: 'local', service: 'notifier', name: 'ticked', data });

const heard: number[] = [];

@Controller()
class TestController {
  @MessagePattern(Double.subject)
  async double(@Payload() { value }: { value: number }) {
    return { value: value * 2 };
  }

  @MessagePattern(Refused.subject)
  refused() {
    throw new BusError('stale-epoch', 'epoch 3 is below 4', true);
  }

  @MessagePattern(Broken.subject)
  broken() {
    throw new TypeError('oops');
  }

  @EventPattern<string>(Ticked.subject)
  ticked(@Payload() { value }: { value: number }) {
    heard.push(value);
  }
}

@Module({ controllers: [TestController] })
class TestModule {}

let port: number;
let server: ChildProcess;
let bus: Bus;
let application: INestApplicationContext;

beforeAll(async () => {
  port = await freePort();
  server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), '--user', 'app', '--pass', 'secret'], {
    stdio: 'ignore',
  });
  await until(() => accepts(port));
  const credentials = { url: `nats://127.0.0.1:${port}`, user: 'app', password: new Secret('secret') };
  bus = await Bus.connect({ credentials, name: 'test', role: 'primary', logger: SILENT_LOGGER });
  const definitions = [Double, Refused, Broken, Ticked];
  application = await createBusApplication(TestModule, { bus, definitions, logger: SILENT_LOGGER });
});

afterAll(async () => {
  await application.close();
  await bus.close();
  server.kill('SIGKILL');
});

it('controllers answer requests, checked before they are called', async () => {
  expect(await bus.request(Double, { value: 4 }, { timeoutMs: 5000 })).toEqual({ value: 8 });
  const stranger = await connect({ servers: `127.0.0.1:${port}`, user: 'app', pass: 'secret' });
  const answer = await stranger.request(Double.subject, '{"value":"x"}', { timeout: 5000 });
  expect(answer.json()).toMatchObject({ ok: false, error: { code: 'invalid-message' } });
  await stranger.close();
});

it('what a controller throws reaches who asked', async () => {
  const refused = bus.request(Refused, { value: 4 }, { timeoutMs: 5000 });
  await expect(refused).rejects.toMatchObject({ code: 'stale-epoch', retryable: true, message: 'epoch 3 is below 4' });
  await expect(bus.request(Broken, { value: 4 }, { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'internal' });
});

it('controllers hear events', async () => {
  bus.publish(Ticked, { value: 7 });
  await until(async () => heard.includes(7));
});

it('a pattern that no message defines is refused at start', async () => {
  const incomplete = createBusApplication(TestModule, { bus, definitions: [Double], logger: SILENT_LOGGER });
  await expect(incomplete).rejects.toThrow('No message is defined for the subject');
});

it('a closed application answers no more', async () => {
  await application.close();
  await expect(bus.request(Double, { value: 4 }, { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'no-responder' });
});

function accepts(at: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(at, '127.0.0.1');
    socket.on('connect', () => resolve(socket.destroy() !== undefined));
    socket.on('error', () => resolve(false));
  });
}

async function until(condition: () => Promise<boolean>, limitMs = 8000): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
