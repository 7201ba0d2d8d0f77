import type { Effect, EffectResults, HaEvent, Lsn } from '@understudy/ha-core';
import { type EffectContext, EffectError, type EffectProgress, type RuntimePorts } from './ports.ts';

/** The effects of one decision, being performed or about to be. */
interface Run {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/**
 * Performs decisions' effects in order, stops at the first failure, and reports one event per decision. A later decision
 * supersedes the effects of an earlier one: they are aborted and have let go before the later ones start. Only what has lost its
 * right to serve is closed without waiting for that, and once more afterwards.
 */
export class Interpreter {
  private run: Run | null = null;
  private current: EffectProgress | null = null;

  constructor(
    private readonly ports: RuntimePorts,
    private readonly report: (event: HaEvent) => void,
  ) {}

  /** What is being done at the moment, for people; null when nothing is. */
  get progress(): EffectProgress | null {
    return this.current;
  }

  /** Starts the effects of a decision in place of those in flight. No effects: only abandons. */
  perform(decisionId: string, effects: readonly Effect[]): void {
    const before = this.run;
    before?.abort.abort();
    const abort = new AbortController();
    const [first] = effects;
    const early = new AbortController();
    if (first?.kind === 'fence' && before !== null) this.closeAtOnce(decisionId, first.epoch, early.signal);
    const ended = (before?.ended ?? Promise.resolve())
      .then(() => {
        early.abort();
        return this.performAll(decisionId, effects, abort.signal);
      })
      .then(() => {
        if (this.run === run) this.run = null;
      });
    const run: Run = { abort, ended };
    this.run = run;
  }

  /** Lets go of what is in flight; what was begun is continued after the next start. */
  async stop(): Promise<void> {
    this.run?.abort.abort();
    await this.run?.ended;
  }

  private closeAtOnce(decisionId: string, epoch: number, signal: AbortSignal): void {
    const { database, processes } = this.ports;
    const context = { taskId: `${decisionId}#at-once`, epoch, signal, progress: () => undefined };
    for (const closing of [processes.killAll(), database.fence(context)]) closing.catch(() => undefined);
  }

  private async performAll(decisionId: string, effects: readonly Effect[], signal: AbortSignal): Promise<void> {
    let results: EffectResults = {};
    for (const [index, effect] of effects.entries()) {
      if (signal.aborted) return;
      this.current = { effect: effect.kind, step: effect.kind, percent: null };
      const context: EffectContext = {
        taskId: `${decisionId}#${index}`,
        epoch: effect.epoch,
        signal,
        progress: (step, percent) => {
          if (!signal.aborted) this.current = { effect: effect.kind, step, percent };
        },
      };
      try {
        const found = await this.ports.tracing.effect(effect, context.taskId, () => this.performOne(effect, context));
        results = { ...results, ...found };
      } catch (error) {
        // what cannot be stopped shall at least not write
        if (effect.kind === 'stop-processes' && effects[index + 1]?.kind === 'stop-database' && !signal.aborted)
          await this.ports.database.stop({ ...context, taskId: `${decisionId}#${index + 1}` }).catch(() => undefined);
        if (!signal.aborted) {
          this.current = null;
          const { code, message } = error instanceof EffectError ? error : { code: 'internal', message: String(error) };
          this.report({
            type: 'effect-failed',
            decisionId,
            effect: effect.kind,
            code,
            message,
            atMs: this.ports.clock.nowMs(),
          });
        }
        return;
      }
    }
    if (signal.aborted || effects.length === 0) return;
    this.current = null;
    this.report({ type: 'effects-completed', decisionId, results, atMs: this.ports.clock.nowMs() });
  }

  private async performOne(effect: Effect, context: EffectContext): Promise<EffectResults | undefined> {
    const { database, processes, peer, registration, clock } = this.ports;
    switch (effect.kind) {
      case 'open-database':
        await this.openDatabase(context);
        return;
      case 'promote-database':
        await this.promoteDatabase(context, effect.requiredLsn);
        return;
      case 'stop-database': {
        const { lsn, hasDatabase } = await database.stop(context);
        return { finalLsn: lsn, databaseMissing: !hasDatabase };
      }
      case 'follow-peer': {
        const awaySeconds =
          effect.lastInSyncUnixMs === null ? null : Math.max(0, (clock.unixMs() - effect.lastInSyncUnixMs) / 1000);
        await database.followPeer(context, { forceCopy: effect.forceCopy, awaySeconds });
        return;
      }
      case 'start-processes':
        await processes.startAll(effect.epoch, context.signal);
        return;
      case 'stop-processes':
        await processes.stopAll();
        return;
      case 'await-data':
        await database.awaitReceived(context, effect.lsn);
        return;
      case 'request-consent': {
        const answer = await peer.requestConsent(effect, context.signal);
        if (!context.signal.aborted) this.report({ type: 'consent-answered', ...answer, atMs: clock.nowMs() });
        return;
      }
      case 'acquire-lease': {
        if (this.ports.witness === null) throw new EffectError('no-witness', 'no witness is configured');
        const granted = await this.ports.witness.acquire({ epoch: effect.epoch }, context.signal);
        if (!context.signal.aborted)
          this.report({ type: 'lease-answered', nonce: effect.nonce, granted, atMs: clock.nowMs() });
        return;
      }
      case 'fence':
        await Promise.all([processes.killAll(), database.fence(context)]);
        return;
      case 'request-hand-over':
        await peer.requestHandOver({ operationId: effect.operationId, epoch: effect.epoch }, context.signal);
        return;
      case 'announce-dissolution':
        await peer.announceDissolution({ pairId: effect.pairId }, context.signal);
        return;
      case 'register-with-peer':
        await registration.register(context, effect.operationId);
        return;
      case 'retire-pairing':
        await registration.retire(context, effect.discardCopy);
        return;
      default:
        effect satisfies never;
    }
    return undefined;
  }

  /** Whatever the database was: a former active one is started, a standby is started and promoted. */
  private async openDatabase(context: EffectContext): Promise<void> {
    try {
      await this.ports.database.openActive(context);
    } catch (error) {
      if (!(error instanceof EffectError && error.code === 'is-standby')) throw error;
      await this.promoteDatabase({ ...context, taskId: `${context.taskId}.promote` }, null);
    }
  }

  /** A standby that was stopped is started first; one that is promoted already (a repetition after a crash) only has to run. */
  private async promoteDatabase(context: EffectContext, requiredLsn: Lsn | null): Promise<void> {
    const { database } = this.ports;
    try {
      await database.startStandby({ ...context, taskId: `${context.taskId}.standby` });
      await database.promote(context, requiredLsn);
    } catch (error) {
      if (!(error instanceof EffectError && error.code === 'not-standby')) throw error;
      await database.openActive({ ...context, taskId: `${context.taskId}.open` });
    }
  }
}
