import {
  atStart,
  type Decision,
  decide,
  type HaEvent,
  type Server,
  type ServerRecord,
  type Settings,
} from '@understudy/ha-core';
import { Interpreter } from './interpreter.ts';
import type { EffectProgress, RuntimePorts } from './ports.ts';

/**
 * Runs the state machine of this server: one event at a time, its record durable before anything else happens, then told
 * to the world, then acted upon. Kept free of any framework so that the simulator runs this very code.
 */
export class HaHost {
  private server: Server;
  private readonly interpreter: Interpreter;
  private tail: Promise<unknown> = Promise.resolve();
  private stopped = false;
  private performs = true;

  constructor(
    private readonly ports: RuntimePorts,
    record: ServerRecord,
    settings: Settings,
    /** Called when the journal cannot be written or an invariant breaks: the process must end, not act. */
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

  /** Takes in an event after those before it; resolves with the decision when its record is durable. */
  submit(event: HaEvent): Promise<Decision> {
    const decision = this.tail.then(() => this.step(event));
    this.tail = decision.catch((error: unknown) => {
      if (this.stopped) return;
      this.stopped = true;
      this.onBroken(error);
    });
    return decision;
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

  private async step(event: HaEvent): Promise<Decision> {
    if (this.stopped) throw new Error('the state machine has been stopped');
    const decision = decide(this.server, event);
    if (decision.server.record !== this.server.record) await this.ports.journal.write(decision.server.record);
    this.server = decision.server;
    this.ports.announce(decision, event);
    if (decision.effects !== null && (this.performs || decision.effects[0]?.kind === 'fence'))
      this.interpreter.perform(decision.decisionId ?? '', decision.effects);
    return decision;
  }
}
