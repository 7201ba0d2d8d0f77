import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { type Decision, type HaEvent, type HaState, newRecord, type ServerRecord } from '@understudy/ha-core';
import { type Logger, SILENT_LOGGER } from '@understudy/platform';
import { at, type Context, keptSpan, placeAt, within } from '@understudy/telemetry';
import { SwitchTrace } from './switch-trace.ts';

const exporter = new InMemorySpanExporter();
let nowMs: number;
let switchTrace: SwitchTrace;

beforeEach(() => {
  exporter.reset();
  nowMs = 1_000_000;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  const clock = { nowMs: () => nowMs, unixMs: () => nowMs };
  switchTrace = new SwitchTrace(clock, SILENT_LOGGER, newRecord('secondary', 'run'));
});
afterEach(() => {
  trace.disable();
  context.disable();
});

/** A decision by that row, with the record afterwards. */
function decided(rule: string, from: HaState, record: Partial<ServerRecord> & { state: HaState }): Decision {
  const whole = { ...newRecord('secondary', 'run'), epoch: 2, ...record };
  return { rule: { id: rule, says: rule }, server: { record: whole }, previousState: from, effects: null } as Decision;
}

const caused = (type: HaEvent['type']) => ({ type, atMs: nowMs }) as HaEvent;
const inFlight = { decisionId: 'id', effects: [] };
const toFailover = decided('S-46', 'secondary-syncing', { state: 'secondary-failover', inFlight });
const toActive = decided('S-53', 'secondary-failover', { state: 'secondary-active', hold: 2, opened: true });
const follow = (decision: Decision, cause: HaEvent['type']) =>
  switchTrace.decision(decision, caused(cause), async () => undefined);

/** Names of the finished spans, each with that of its parent. */
function parents(): Record<string, string | null> {
  const spans = exporter.getFinishedSpans();
  const nameOf = (id: string | undefined) => spans.find((span) => span.spanContext().spanId === id)?.name ?? null;
  return Object.fromEntries(spans.map((span) => [span.name, nameOf(span.parentSpanContext?.spanId)]));
}

const spanNamed = (name: string): Context => {
  const span = keptSpan(name);
  span.end();
  return placeAt(span);
};

describe('the trace of a switch', () => {
  it('has each decision under its cause, and what is noticed under the decision before', async () => {
    await within(keptSpan('order'), () => follow(toFailover, 'operator-forced-failover'));
    await follow(decided('S-50', 'secondary-failover', { state: 'secondary-failover', inFlight }), 'tick');
    expect(parents()).toEqual({ order: null, 'decide S-46': 'order', 'decide S-50': 'decide S-46' });
  });

  it('goes on from what the peer has decided when it is heard, and links what was decided here', async () => {
    const order = spanNamed('order');
    await at(order, () => follow(toFailover, 'operator-forced-failover'));
    const peers = keptSpan('of the peer', {}, order);
    peers.end();
    const next = decided('S-50', 'secondary-failover', { state: 'secondary-failover' });
    await at(placeAt(peers), () => follow(next, 'peer-heard'));
    expect(parents()['decide S-50']).toBe('of the peer');
    const [own, heard] = ['decide S-46', 'decide S-50'].map((name) =>
      exporter.getFinishedSpans().find((span) => span.name === name),
    );
    expect(heard?.links.map((link) => link.context.spanId)).toEqual([own?.spanContext().spanId]);
  });

  it('is over when the server has come to rest: what is noticed later is another matter, wherever it is noticed', async () => {
    await at(spanNamed('order'), () => follow(toFailover, 'operator-forced-failover'));
    await follow(toActive, 'tick');
    nowMs += 3_600_000;
    // a loop that was begun within the switch
    await at(spanNamed('effect start-processes'), () =>
      follow(decided('S-60', 'secondary-active', { state: 'secondary-uncertain', hold: 2 }), 'process-failed'),
    );
    const found = parents();
    expect(found['decide S-53']).toBe('decide S-46');
    expect(found['decide S-60']).toBeNull();
  });

  it('leaves out what is noted in passing, outside of a switch', async () => {
    await follow(decided('S-30', 'secondary-syncing', { state: 'secondary-syncing' }), 'tick');
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it('ends with the first write that the database has taken since service began', async () => {
    await follow(toFailover, 'tick');
    await follow(toActive, 'effects-completed');
    const observed = (role: 'read-write' | 'standby', afterMs: number) =>
      switchTrace.observed({ role, usable: true, observedAt: new Date(nowMs + afterMs).toISOString() });
    observed('read-write', -1);
    observed('standby', 5);
    expect(parents()).not.toHaveProperty('first request served');
    observed('read-write', 10);
    observed('read-write', 20);
    const served = exporter.getFinishedSpans().filter(({ name }) => name === 'first request served');
    expect(served).toHaveLength(1);
    expect(parents()['first request served']).toBe('decide S-53');
  });

  it('is no condition of a decision: a fault of telemetry is told and nothing more', async () => {
    const said: string[] = [];
    const logger = { ...SILENT_LOGGER, warn: (message: string) => void said.push(message) } as Logger;
    trace.disable();
    trace.setGlobalTracerProvider({
      getTracer: () => {
        throw new Error('broken');
      },
    });
    const clock = { nowMs: () => nowMs, unixMs: () => nowMs };
    const broken = new SwitchTrace(clock, logger, newRecord('secondary', 'run'));
    expect(await broken.decision(toFailover, caused('tick'), async () => 'carried out')).toBe('carried out');
    expect(said).toEqual(['A decision could not be traced']);
  });
});
