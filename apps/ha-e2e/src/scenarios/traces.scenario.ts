import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import { type ReceivedSpan, SpanReceiver, TELEMETRY_SECTION } from '../real-pair/span-receiver.ts';
import { scenariosOnRealPair } from './scenario.ts';

const SENT_WITHIN_MS = 30_000;

/** The trace in which such a span is, once nothing of it is missing any more and it has one of each of the names. */
async function wholeTrace(receiver: SpanReceiver, begun: (span: ReceivedSpan) => boolean, names: readonly string[]) {
  return until(`a whole trace with ${names.join(', ')}`, { withinMs: SENT_WITHIN_MS }, () => {
    const all = receiver.spans();
    const traceId = all.findLast(begun)?.traceId;
    const spans = all.filter((span) => span.traceId === traceId);
    const missing = names.filter((name) => !spans.some((span) => span.name === name));
    const orphans = orphansOf(spans);
    if (spans.length > 0 && missing.length === 0 && orphans.length === 0) return new Trace(spans);
    throw new Error(
      `${spans.length} spans; missing: ${missing}; without their parents: ${orphans}\n${outlineOf(spans)}`,
    );
  });
}

const orphansOf = (spans: readonly ReceivedSpan[]) =>
  spans
    .filter(({ parentSpanId }) => parentSpanId !== null && !spans.some(({ spanId }) => spanId === parentSpanId))
    .map(({ name }) => name);

/** For whoever reads why it failed: name, server, and service of each span, by time. */
const outlineOf = (spans: readonly ReceivedSpan[]) =>
  spans
    .toSorted((a, b) => a.startMs - b.startMs)
    .map(({ name, server, service }) => `${server} ${service}: ${name}`)
    .join('\n');

/** The spans of one trace. */
class Trace {
  constructor(readonly spans: readonly ReceivedSpan[]) {}

  get roots(): ReceivedSpan[] {
    return this.spans.filter(({ parentSpanId }) => parentSpanId === null);
  }

  /** The one span of that name on that server. */
  one(name: string, server: string): ReceivedSpan {
    const found = this.all(name, server);
    if (found.length !== 1 || !found[0])
      throw new Error(`${found.length} times ${name} on ${server}\n${outlineOf(this.spans)}`);
    return found[0];
  }

  all(name: string, server: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name && span.server === server);
  }

  /** Decisions of that server in the order of time. */
  decisions(server: string): ReceivedSpan[] {
    return this.spans
      .filter((span) => span.server === server && span.name.startsWith('decide '))
      .toSorted((a, b) => a.startMs - b.startMs);
  }

  /** Names from a span up to the root of the trace. */
  line(span: ReceivedSpan): string[] {
    const parent = this.spans.find(({ spanId }) => spanId === span.parentSpanId);
    return [span.name, ...(parent ? this.line(parent) : [])];
  }
}

/** What has to be so of every trace: decisions say their rules and epochs, and effects are parts of decisions and say how they have ended. */
function expectToBeTold(trace: Trace): void {
  for (const server of ['alpha', 'beta'])
    for (const { name, attributes } of trace.decisions(server)) {
      const { 'understudy.rule.id': rule, 'understudy.epoch': epoch, 'understudy.rule.says': reason } = attributes;
      expect(name).toBe(`decide ${rule}`);
      expect(rule).toMatch(server === 'alpha' ? /^P-\d+$/ : /^S-\d+$/);
      expect(epoch).toBeGreaterThan(0);
      expect(reason).not.toBe('');
    }
  const effects = trace.spans.filter(({ name }) => name.startsWith('effect '));
  for (const effect of effects) {
    expect(trace.line(effect)[1]).toMatch(/^decide /);
    expect(effect.attributes['understudy.outcome']).toBe('completed');
  }
}

scenariosOnRealPair('traces', { layout: 'separate', sections: { telemetry: TELEMETRY_SECTION } }, (scenario) => {
  const receiving = async ({ stage }: RealPair) => {
    const receiver = new SpanReceiver(stage.n3);
    await receiver.start();
    return receiver;
  };

  scenario(
    'a forced failover is one trace over both servers: order, decisions, effects, steps of PostgreSQL, processes, first request served',
    { failoverType: 'manual' },
    async ({ pair, secondary }) => {
      const receiver = await receiving(pair);
      await secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 });
      await pair.inSyncSwapped({ withinMs: 60_000 });

      const order = 'POST /api/v1/ha/forced-failover';
      const trace = await wholeTrace(receiver, ({ name }) => name === order, [
        'first request served',
        'effect request-hand-over',
        'effect stop-database',
        'effect promote-database',
        'effect follow-peer',
        'database promote',
        'promoting',
        'start process',
      ]);
      expect(trace.roots.map(({ name, server, service }) => ({ name, server, service }))).toEqual([
        { name: order, server: 'beta', service: 'api-gateway' },
      ]);
      expectToBeTold(trace);

      // the secondary's order reaches the primary's state machine over the pair link
      const stopped = trace.one('effect stop-database', 'alpha');
      const line = trace.line(stopped).filter((name) => !name.startsWith('decide '));
      expect(line).toEqual([
        'effect stop-database',
        'process pair.v1.command.primary.health-monitor.hand-over',
        'request pair.v1.command.primary.health-monitor.hand-over',
        'effect request-hand-over',
        'process local.v1.command.health-monitor.forced-failover',
        'request local.v1.command.health-monitor.forced-failover',
        order,
      ]);
      // what the secondary does then follows from what the primary has decided
      const promoted = trace.one('effect promote-database', 'beta');
      expect(trace.line(promoted)).toContain('effect request-hand-over');
      expect(trace.line(trace.one('promoting', 'beta')).slice(0, 3)).toEqual([
        'promoting',
        'database promote',
        'effect promote-database',
      ]);
      expect(trace.line(trace.one('start process', 'beta'))[1]).toBe('effect start-processes');
      const served = trace.one('first request served', 'beta');
      expect(trace.line(served)[1]).toMatch(/^decide S-/);
      expect(served.startMs).toBeGreaterThanOrEqual(promoted.endMs);
      expect(promoted.startMs).toBeGreaterThanOrEqual(stopped.endMs);
      expect(trace.decisions('beta').map(({ attributes }) => attributes['understudy.state.to'])).toEqual(
        expect.arrayContaining(['secondary-failover', 'secondary-active']),
      );
      expect(trace.decisions('alpha').at(-1)?.attributes['understudy.state.to']).toBe('primary-syncing');
    },
  );

  scenario(
    'a failover is not held up by a receiver that hangs, and is one trace from the first missed beat when it goes on',
    { failoverType: 'automatic' },
    async ({ pair, primary, secondary }) => {
      const receiver = await receiving(pair);
      receiver.freeze();
      try {
        const diedAtMs = Date.now();
        primary.die();
        await secondary.is('Secondary Active', { withinMs: 30_000 });
        const beatSeconds = 6; // 4 missed beats, 1 s of grace, and the probe
        expect(Date.now() - diedAtMs).toBeLessThan((beatSeconds + 9) * 1000);
      } finally {
        receiver.thaw();
      }
      const trace = await wholeTrace(receiver, ({ name }) => name === 'missed beats', [
        'open the URL of the peer',
        'effect promote-database',
        'database promote',
        'effect start-processes',
        'first request served',
      ]);
      const [beats] = trace.roots;
      expect(beats).toMatchObject({ name: 'missed beats', server: 'beta', service: 'heartbeat' });
      expect(trace.roots).toHaveLength(1);
      expect(trace.spans.every(({ server }) => server === 'beta')).toBe(true);
      expectToBeTold(trace);
      const promoted = trace.one('effect promote-database', 'beta');
      expect(trace.line(promoted).slice(-2)).toEqual(['open the URL of the peer', 'missed beats']);
      expect(beats?.startMs).toBeLessThan(promoted.startMs);
      expect(trace.line(trace.one('first request served', 'beta')).at(-1)).toBe('missed beats');

      primary.host.powerOn();
      primary.boot();
      await pair.inSyncSwapped({ withinMs: 60_000 });
    },
  );
});
