import type { DatabaseFacts } from '@understudy/contracts';
import {
  type Decision,
  type Effect,
  type HaEvent,
  type HaEventType,
  type HaState,
  isServing,
  type ServerRecord,
} from '@understudy/ha-core';
import type { TracingPort } from '@understudy/ha-runtime';
import type { Clock, Logger } from '@understudy/platform';
import {
  type Attributes,
  areOfOneTrace,
  type Context,
  childSpan,
  here,
  isTraced,
  keptSpan,
  NOWHERE,
  placeAt,
  type Span,
  traceparentOf,
  within,
} from '@understudy/telemetry';

/** What this server notices by itself: no order and no answer, so that nothing but a switch under way can be its cause. */
const NOTICED: ReadonlySet<HaEventType> = new Set([
  'boot',
  'tick',
  'peer-heard',
  'beat-answered',
  'witness-observed',
  'database-observed',
  'process-failed',
  'process-recovered',
]);
/** A switch has come to rest here, once nothing is in flight. */
const RESTING: ReadonlySet<HaState> = new Set([
  'ha-not-configured',
  'primary-active',
  'primary-syncing',
  'secondary-syncing',
  'secondary-active',
]);
/** What is decided so long after the last decision of a switch that has not come to rest is a matter of its own. */
const SWITCH_PAUSE_MAX_MS = 600_000;

/**
 * The decisions of this server and their effects as spans. A decision belongs to the trace of its cause: of the order, of the peer's request, of the
 * decision whose effects have ended. What is merely noticed goes on in the switch that is under way, here or on the peer. All of it is kept.
 */
export class SwitchTrace implements TracingPort {
  /** The last decision of the switch that is under way. */
  private latest: { readonly place: Context; readonly atMs: number } | null = null;
  /** The decision since which this server serves, until it is known to have served. */
  private opened: { readonly place: Context; readonly unixMs: number } | null = null;
  private wasServing: boolean;

  constructor(
    private readonly clock: Clock,
    private readonly logger: Logger,
    record: ServerRecord,
  ) {
    this.wasServing = isServing(record);
  }

  /** The last decision of a switch that is under way, as the peer is told of it. */
  get traceparent(): string | undefined {
    return this.underWay === null ? undefined : traceparentOf(this.underWay);
  }

  decision<T>(decision: Decision, cause: HaEvent, carryOut: () => Promise<T>): Promise<T> {
    const span = this.begun(decision, cause);
    return span === null ? carryOut() : within(span, carryOut);
  }

  effect<T>(effect: Effect, taskId: string, perform: () => Promise<T>): Promise<T> {
    const attributes = {
      'understudy.effect': effect.kind,
      'understudy.epoch': effect.epoch,
      'understudy.task.id': taskId,
    };
    return within(childSpan(`effect ${effect.kind}`, { attributes }), async (span) => {
      try {
        const found = await perform();
        span.setAttribute('understudy.outcome', 'completed');
        return found;
      } catch (error) {
        span.setAttribute('understudy.outcome', 'failed');
        throw error;
      }
    });
  }

  /** The database was looked at. The first look at one that has committed a write ends what began with the loss of service. */
  observed({ role, usable, observedAt }: Pick<DatabaseFacts, 'role' | 'usable' | 'observedAt'>): void {
    const { opened } = this;
    const observedUnixMs = Date.parse(observedAt);
    if (opened === null || role !== 'read-write' || !usable || observedUnixMs < opened.unixMs) return;
    this.opened = null;
    const attributes = { 'understudy.request': 'a write by a new connection' };
    childSpan('first request served', { attributes, startTime: opened.unixMs }, opened.place).end();
  }

  private get underWay(): Context | null {
    const { latest } = this;
    return latest !== null && this.clock.nowMs() - latest.atMs <= SWITCH_PAUSE_MAX_MS ? latest.place : null;
  }

  /** The span of a decision, null for one that nobody would look for. A fault of telemetry is none of a decision. */
  private begun(decision: Decision, cause: HaEvent): Span | null {
    if (decision.rule === null && decision.effects === null) return null;
    try {
      const { parent, other } = this.parentOf(cause);
      if (!isTraced(parent) && !isWorthATrace(decision)) return null;
      const name = `decide ${decision.rule?.id ?? 'to continue'}`;
      const span = keptSpan(name, { attributes: attributesOf(decision, cause), links: other }, parent);
      this.follow(decision.server.record, placeAt(span));
      return span;
    } catch (error) {
      this.logger.warn('A decision could not be traced', { error });
      return null;
    }
  }

  private parentOf(cause: HaEvent): { parent: Context; other: Context[] } {
    const active = here();
    const { underWay } = this;
    if (cause.type === 'peer-heard' && isTraced(active)) return heardOf(active, underWay);
    if (underWay === null) return { parent: NOTICED.has(cause.type) ? NOWHERE : active, other: [] };
    return NOTICED.has(cause.type) || !isTraced(active)
      ? { parent: underWay, other: [] }
      : { parent: active, other: areOfOneTrace(active, underWay) ? [] : [underWay] };
  }

  private follow(record: ServerRecord, place: Context): void {
    const isAtRest = record.inFlight === null && record.operation === null && RESTING.has(record.state);
    this.latest = isAtRest ? null : { place, atMs: this.clock.nowMs() };
    const serves = isServing(record);
    if (!serves) this.opened = null;
    else if (!this.wasServing) this.opened = { place, unixMs: this.clock.unixMs() };
    this.wasServing = serves;
  }
}

/** What follows from the peer's word belongs to the peer's decision, unless another switch is under way here. */
function heardOf(peers: Context, underWay: Context | null): { parent: Context; other: Context[] } {
  if (underWay === null) return { parent: peers, other: [] };
  return areOfOneTrace(peers, underWay) ? { parent: peers, other: [underWay] } : { parent: underWay, other: [peers] };
}

/** Whether it begins a trace where there is none: not what is noted in passing. */
function isWorthATrace({ server, previousState, effects }: Decision): boolean {
  return server.record.state !== previousState || (effects !== null && effects.length > 0);
}

function attributesOf({ rule, server, previousState, effects, decisionId }: Decision, cause: HaEvent): Attributes {
  const { role, state, epoch } = server.record;
  return {
    'understudy.event': cause.type,
    'understudy.role': role,
    'understudy.state.from': previousState,
    'understudy.state.to': state,
    'understudy.epoch': epoch,
    ...(rule && { 'understudy.rule.id': rule.id, 'understudy.rule.says': rule.says }),
    ...(decisionId !== null && { 'understudy.decision.id': decisionId }),
    ...(effects && { 'understudy.effects': effects.map(({ kind }) => kind) }),
  };
}
