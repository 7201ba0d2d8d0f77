import { randomUUID } from 'node:crypto';
import { beforeEach, expect, it } from '@jest/globals';
import { BusError } from './bus-error.ts';
import { OnceMemory, type Order } from './order.ts';

let nowMs: number;
let carriedOut: number;
let memory: OnceMemory<number>;

beforeEach(() => {
  nowMs = 1000;
  carriedOut = 0;
  memory = new OnceMemory({ nowMs: () => nowMs, unixMs: () => 0 });
});

const orderAt = (firstSentMs: number): Order => ({ id: randomUUID(), firstSentMs, isRepeated: false });
const send = async (order: Order) =>
  memory.answer(order, async () => {
    carriedOut += 1;
    return carriedOut;
  });
const repeat = (order: Order) => send({ ...order, isRepeated: true });
const unknown = { code: 'outcome-unknown', retryable: true };

it('carries an order out once, whichever of its messages comes first', async () => {
  const order = orderAt(1001);
  expect(await repeat(order)).toBe(1);
  expect(await send(order)).toBe(1);
  expect(await send(orderAt(1001))).toBe(2);
});

it('repeats a refusal as well', async () => {
  const order = orderAt(1001);
  const refuse = async () => Promise.reject(new BusError('not-allowed', 'not now'));
  await expect(memory.answer(order, refuse)).rejects.toMatchObject({ code: 'not-allowed' });
  await expect(repeat(order)).rejects.toMatchObject({ code: 'not-allowed' });
  expect(carriedOut).toBe(0);
});

it('refuses what an earlier responder may have carried out, but not what was sent for the first time', async () => {
  await expect(repeat(orderAt(999))).rejects.toMatchObject(unknown);
  expect(await send(orderAt(999))).toBe(1);
});

it('keeps so many answers, and refuses an order that it may have forgotten', async () => {
  const orders = Array.from({ length: 257 }, (_, index) => orderAt(1001 + index));
  for (const order of orders) await send(order);
  await expect(repeat(orders[0] as Order)).rejects.toMatchObject(unknown);
  expect(await repeat(orders[1] as Order)).toBe(2);
  expect(carriedOut).toBe(257);
});

it('keeps an answer for 25 s', async () => {
  const order = orderAt(1001);
  await send(order);
  nowMs += 24_000;
  await send(orderAt(nowMs));
  expect(await repeat(order)).toBe(1);
  nowMs += 2000;
  await send(orderAt(nowMs));
  await expect(repeat(order)).rejects.toMatchObject(unknown);
});
