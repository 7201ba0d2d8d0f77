import {
  atStart,
  type Decision,
  decide,
  type HaEvent,
  type HaEventType,
  type Server,
  type ServerRecord,
  type Settings,
} from '@understudy/ha-core';
import { Interpreter } from './interpreter.ts';
import type { EffectProgress, RuntimePorts } from './ports.ts';

/** What is so at the moment: of two that wait for a record to become durable, only the later one is worth deciding on. */
const PASSING_FACTS: ReadonlySet<HaEventType> = new Set([
  'tick',
  'peer-heard',
  'peer-lost',
  'peer-confirmed-lost',
  'peer-answered-probe',
  'beat-answered',
  'witness-observed',
  'database-observed',
]);
/** How old an event may be when its decision is acted upon: what was so then need not be so any more. */
const EVENT_LIFE_MS = 5_000;

/** An order had to wait for the disk until whoever gave it no longer waited: it is not carried out behind their back. */
export class OrderTooLate extends Error {}

/** A decision became durable too late to be acted upon. What its record says is still to be done is asked for anew after the next start. */
export class DecisionTooLate extends Error {}

/** An event that has not been decided on. */
interface Waiting {
  event: HaEvent | null;
  readonly decision: PromiseWithResolvers<Decision>;
}

/**
 * Runs the state machine of this server: one event at a time, its record durable before anything else happens, then told
 * to the world, then acted upon. Kept free of any framework so that the simulator runs this very code.
 */
export class HaHost {
  private server: Server;
  private readonly interpreter: Interpreter;
  private tail: Promise<unknown> = Promise.resolve();
  private readonly passing = new Map<HaEventType, Waiting>();
  private stopped = false;
  private performs = true;

  constructor(
    private readonly ports: RuntimePorts,
    record: ServerRecord,
    settings: Settings,
    /** Called when the journal cannot be written, or not in time, or an invariant breaks: the process must end, not act. */
    private readonly onBroken: (error: unknown) => void,
    /** How long the peer's answers let this server serve, as an earlier manager has noted it. */
    grantUntilMs = 0,
  ) {
    this.server = atStart(record, settings, ports.clock.nowMs(), grantUntilMs);
    this.interpreter = new Interpreter(ports, (event) => void this.submit(event));
  }

  /** What this server knows and has decided, as of the last event. */
  get view(): Server {
    return this.server;
  }

  /** What is being done at the moment. */
  get progress(): EffectProgress | null {
    return this.interpreter.progress;
  }

  /**
   * Takes in an event after those before it; resolves with the decision when its record is durable. A passing fact that still waits when
   * the next of its kind comes is left out, and resolves with the decision on that one. Rejects with OrderTooLate.
   */
  submit(event: HaEvent): Promise<Decision> {
    const waiting: Waiting = { event, decision: Promise.withResolvers<Decision>() };
    waiting.decision.promise.catch(() => undefined); // most who tell of something do not wait for the decision
    if (PASSING_FACTS.has(event.type)) this.supersede(event.type, waiting);
    this.tail = this.tail.then(() => this.take(waiting));
    return waiting.decision.promise;
  }

  /**
   * Begins nothing any more, and lets go of the effects in flight, because this server is being stopped. It goes on deciding: as long as
   * something is open its right to serve has to be kept, and it is closed when that is lost.
   */
  async beginNothing(): Promise<void> {
    this.performs = false;
    await this.interpreter.stop();
  }

  /** Stops deciding and lets go of the effects in flight; they continue after the next start. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.interpreter.stop();
  }

  /** Behind a disk that hangs for hours, hours of facts would wait. */
  private supersede(type: HaEventType, waiting: Waiting): void {
    const earlier = this.passing.get(type);
    if (earlier?.event) {
      earlier.event = null;
      waiting.decision.promise.then(earlier.decision.resolve, earlier.decision.reject);
    }
    this.passing.set(type, waiting);
  }

  private async take(waiting: Waiting): Promise<void> {
    const { event, decision } = waiting;
    if (event === null) return;
    waiting.event = null;
    try {
      decision.resolve(await this.step(event));
    } catch (error) {
      decision.reject(error);
      if (this.stopped || error instanceof OrderTooLate) return;
      this.stopped = true;
      this.onBroken(error);
    }
  }

  private async step(event: HaEvent): Promise<Decision> {
    if (this.stopped) throw new Error('the state machine has been stopped');
    if (event.type.startsWith('operator-') && this.isOld(event))
      throw new OrderTooLate(`the disk did not answer for ${this.ageInSeconds(event)} s: order it again`);
    const decision = decide(this.server, event);
    await this.ports.tracing.decision(decision, event, () => this.carryOut(decision, event));
    return decision;
  }

  private async carryOut(decision: Decision, event: HaEvent): Promise<void> {
    if (decision.server.record !== this.server.record) await this.ports.journal.write(decision.server.record);
    const closes = decision.effects?.[0]?.kind === 'fence';
    if (decision.effects !== null && !closes && this.isOld(event))
      throw new DecisionTooLate(`the decision on ${event.type} was durable only after ${this.ageInSeconds(event)} s`);
    this.server = decision.server;
    this.ports.announce(decision, event);
    if (decision.effects !== null && (this.performs || closes))
      this.interpreter.perform(decision.decisionId ?? '', decision.effects);
  }

  private isOld(event: HaEvent): boolean {
    return this.ports.clock.nowMs() - event.atMs > EVENT_LIFE_MS;
  }

  private ageInSeconds(event: HaEvent): number {
    return Math.round((this.ports.clock.nowMs() - event.atMs) / 1000);
  }
}
