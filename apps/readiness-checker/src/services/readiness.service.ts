import { randomUUID } from 'node:crypto';
import type { OperationView, ReadinessReport } from '@understudy/contracts';
import type { ServerRole } from '@understudy/ha-core';
import { BusError } from '@understudy/messaging';
import type { Clock, Logger } from '@understudy/platform';
import type { Requirements, Side } from '../domain/check.ts';
import { evaluate, overallOf } from '../domain/evaluate.ts';
import type { PeerMeasuring } from '../ports/peer.port.ts';
import type { ReportStore } from '../ports/report-store.port.ts';
import type { MeasuringService } from './measuring.service.ts';

/** The whole run ends within 30 s. The probes of one server take 26 s at most: 6 s together, then latency, throughput and disk one by one. */
const PEER_LIMIT_MS = 27_000;
const KEPT_OPERATIONS = 20;

/** Runs of the checklist: both servers measure at the same time, then both sides are judged. One run at a time. */
export class ReadinessService {
  private readonly runs: OperationView[] = [];

  constructor(
    private readonly role: ServerRole,
    private readonly requirements: Requirements,
    private readonly measuring: MeasuringService,
    private readonly peer: PeerMeasuring,
    private readonly store: ReportStore,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Starts a run and returns at once. Throws `operation-running`. */
  start(): { operationId: string } {
    const running = this.runs[0];
    if (running?.state === 'running')
      throw new BusError('operation-running', `readiness checks are running since ${running.startedAt}`);
    const id = `readiness-${randomUUID()}`;
    const [state, startedAt] = ['running', this.now()] as const;
    const common = { kind: 'readiness-checks', step: 'started', progressPercent: 0, finishedAt: null, error: null };
    this.runs.unshift({ id, state, startedAt, ...common });
    this.runs.splice(KEPT_OPERATIONS);
    void this.run(id, startedAt);
    return { operationId: id };
  }

  /** Newest first. */
  operations(): OperationView[] {
    return [...this.runs];
  }

  async latest(): Promise<ReadinessReport> {
    const report = await this.store.latest();
    if (report === null) throw new BusError('not-found', 'no readiness checks have been run on this server yet');
    return report;
  }

  private async run(id: string, startedAt: string): Promise<void> {
    try {
      const beganMs = this.clock.nowMs();
      const peerSide = this.peer.measure(PEER_LIMIT_MS).then(
        (measurements): Side => ({ measurements }),
        (error: Error): Side => ({ missing: error.message }),
      );
      const onStep = (step: string, done: number) => this.update(id, { step, progressPercent: Math.round(done * 80) });
      const own: Side = { measurements: await this.measuring.measure(onStep) };
      this.update(id, { step: 'waiting for the other server', progressPercent: 80 });
      const other = await peerSide;
      const sides = this.role === 'primary' ? { primary: own, secondary: other } : { primary: other, secondary: own };
      const before = await this.store.latest();
      const checks = evaluate(sides, this.requirements, before);
      const durationMs = Math.round(this.clock.nowMs() - beganMs);
      const comparedWith = before?.startedAt ?? null;
      const overall = overallOf(checks);
      await this.store.keep({ operationId: id, startedAt, durationMs, overall, comparedWith, checks });
      this.update(id, { state: 'succeeded', step: 'ended', progressPercent: 100, finishedAt: this.now() });
    } catch (error) {
      this.logger.error('The readiness checks failed', { error });
      const reason = error instanceof Error ? error.message : String(error);
      this.update(id, { state: 'failed', step: 'ended', finishedAt: this.now(), error: reason });
    }
  }

  private update(id: string, change: Partial<OperationView>): void {
    const index = this.runs.findIndex((run) => run.id === id);
    const run = this.runs[index];
    if (run !== undefined) this.runs[index] = { ...run, ...change };
  }

  private now(): string {
    return new Date(this.clock.unixMs()).toISOString();
  }
}
