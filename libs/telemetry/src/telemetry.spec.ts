import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { context, propagation, trace } from '@opentelemetry/api';
import type { LogFields, Logger, ServiceEnvironment } from '@understudy/platform';
import { WAITING_SPANS_MAX } from './send-spans.ts';
import {
  childSpan,
  here,
  inSpan,
  keptSpan,
  NOWHERE,
  placeAt,
  placeOf,
  routineSpan,
  traceparentOf,
  within,
} from './spans.ts';
import { startTelemetry, type Telemetry } from './start-telemetry.ts';

interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly status: { readonly code?: number; readonly message?: string };
}

let telemetry: Telemetry | undefined;
let receiver: Server | TcpServer | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  await telemetry?.close();
  receiver?.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  if (receiver instanceof Object && 'closeAllConnections' in receiver) receiver.closeAllConnections();
  telemetry = receiver = undefined;
  trace.disable();
  context.disable();
  propagation.disable();
});

/** Telemetry of a service that sends to `port` of this machine. */
async function telemetryTo(port: number, said: string[] = [], sampleRatio = 0): Promise<Telemetry> {
  const say = (message: string, fields?: LogFields) => void said.push(`${message} ${JSON.stringify(fields)}`);
  telemetry = await startTelemetry({
    service: 'test',
    version: '1',
    logger: { warn: say, info: say } as unknown as Logger,
    configuration: {
      node: { name: 'alpha', role: 'primary' },
      telemetry: { otlpEndpoint: `http://127.0.0.1:${port}/`, sampleRatio },
    },
  } as unknown as ServiceEnvironment);
  return telemetry;
}

/** A receiver of OTLP over HTTP, and the spans that it was sent. */
async function listeningReceiver(port = 0): Promise<{ port: number; spans: ReceivedSpan[] }> {
  const spans: ReceivedSpan[] = [];
  receiver = createServer(async (request, response) => {
    for (const { scopeSpans } of (await bodyOf(request)).resourceSpans)
      for (const scope of scopeSpans) spans.push(...scope.spans);
    response.setHeader('content-type', 'application/json').end('{}');
  }).listen(port, '127.0.0.1');
  await once(receiver, 'listening');
  return { port: (receiver.address() as AddressInfo).port, spans };
}

async function bodyOf(request: IncomingMessage) {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as {
    resourceSpans: { scopeSpans: { spans: ReceivedSpan[] }[] }[];
  };
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 25_000;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error('not in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('telemetry', () => {
  it('keeps what is marked, with its parts, and not the routine that has no share', async () => {
    const { port, spans } = await listeningReceiver();
    const { close } = await telemetryTo(port);
    await within(routineSpan('a status is read'), () => inSpan('the bus is asked', {}, async () => undefined));
    const switching = keptSpan('an order');
    await within(switching, () =>
      inSpan('an effect', {}, async () => {
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      }),
    ).catch(() => undefined);
    await close();
    expect(spans.map(({ name }) => name).toSorted()).toEqual(['an effect', 'an order']);
    const [effect, order] = ['an effect', 'an order'].map((name) => spans.find((span) => span.name === name));
    expect(effect).toMatchObject({ parentSpanId: order?.spanId, traceId: order?.traceId });
    expect(effect?.status).toEqual({ code: 2, message: 'no space left' });
  });

  it('keeps an order whose sender does not keep its own trace, and goes on in one that is kept', async () => {
    const { port, spans } = await listeningReceiver();
    const { close } = await telemetryTo(port);
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    keptSpan('of an untraced client', {}, placeOf(`00-${traceId}-b7ad6b7169203331-00`)).end();
    keptSpan('of a traced client', {}, placeOf(`00-${traceId}-b7ad6b7169203331-01`)).end();
    keptSpan('of a client that says nonsense', {}, placeOf('nonsense')).end();
    await close();
    expect(spans.map((span) => [span.name, span.traceId === traceId, span.parentSpanId ?? null])).toEqual([
      ['of an untraced client', false, null],
      ['of a traced client', true, 'b7ad6b7169203331'],
      ['of a client that says nonsense', false, null],
    ]);
  });

  it('carries a place over as text, and nothing where no trace is kept', async () => {
    const { port } = await listeningReceiver();
    await telemetryTo(port);
    expect(traceparentOf(placeAt(routineSpan('routine')))).toBeUndefined();
    expect(traceparentOf(NOWHERE)).toBeUndefined();
    const span = keptSpan('an order');
    const text = traceparentOf(placeAt(span));
    expect(traceparentOf(placeOf(text))).toBe(text);
    await within(span, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      expect(traceparentOf(here())).toBe(text);
    });
  });

  it('is not waited for: a receiver that accepts and never answers costs the work nothing, and little memory', async () => {
    const taken: number[] = [];
    receiver = createTcpServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => taken.push(chunk.length));
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const { close } = await telemetryTo((receiver.address() as AddressInfo).port);
    const order = placeAt(keptSpan('an order'));
    for (let made = 0; made < WAITING_SPANS_MAX * 8; made++) {
      await within(childSpan('effect', {}, order), async () => undefined);
      if (made % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => taken.length > 0);
    const closingAtMs = performance.now();
    await close();
    // the receiver itself is given up after 5 s
    expect(performance.now() - closingAtMs).toBeLessThan(4500);
    // what was never taken was not kept: all of it would be four times as much
    expect(taken.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(WAITING_SPANS_MAX * 1000);
  });

  it('keeps what a receiver that is away could not be given, and says once that it is away and that it is back', async () => {
    const away = createTcpServer().listen(0, '127.0.0.1');
    await once(away, 'listening');
    const { port } = away.address() as AddressInfo;
    away.close();
    const said: string[] = [];
    await telemetryTo(port, said);
    keptSpan('the first order').end();
    await until(() => said.length > 0);
    keptSpan('the second order').end();
    const { spans } = await listeningReceiver(port);
    await until(() => said.length > 1);
    expect(spans.map(({ name }) => name).toSorted()).toEqual(['the first order', 'the second order']);
    expect(said).toEqual([
      expect.stringMatching(/^Traces are not delivered/),
      'Traces are delivered again {"spansLost":0}',
    ]);
  });
});

describe('without a receiver', () => {
  it('work runs as it is, and nothing is carried over', async () => {
    expect(await within(keptSpan('an order'), async () => traceparentOf() ?? 'no trace')).toBe('no trace');
  });
});
