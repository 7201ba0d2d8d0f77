import { randomUUID } from 'node:crypto';
import type { OperationView, ReadinessReport } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import type { Clock, Logger } from '@understudy/platform';
import type { Requirements } from '../domain/check.ts';
import { evaluate, overallOf } from '../domain/evaluate.ts';
import type { CandidateOrder, Counterparts } from '../ports/counterpart.port.ts';
import type { ReportStore } from '../ports/report-store.port.ts';
import type { BothSidesService } from './both-sides.service.ts';

/**
 * The whole run ends within 30 s. The probes of one server take 25 s at most: 6 s together, then latency, throughput and disk one by one;
 * meeting a server before its registration takes up to 5 s before.
 */
const RUN_LIMIT_MS = 29_500;
const PEER_LIMIT_MS = 27_000;
const KEPT_OPERATIONS = 20;

/** What a run is to be: with a secondary that is not registered yet; `fix`: closed ports are opened, which takes up to 25 s more. */
export interface RunOrder {
  readonly candidate?: CandidateOrder | undefined;
  readonly fix?: boolean | undefined;
}

/** Runs of the checklist: both servers measure at the same time, then both sides are judged. One run at a time. */
export class ReadinessService {
  private readonly runs: OperationView[] = [];

  constructor(
    private readonly requirements: Requirements,
    private readonly bothSides: BothSidesService,
    private readonly counterparts: Counterparts,
    private readonly store: ReportStore,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Starts a run, with the pair or with a secondary that is not registered yet, and returns at once. Throws `operation-running`. */
  start({ candidate, fix = false }: RunOrder = {}): { operationId: string } {
    const running = this.runs[0];
    if (running?.state === 'running')
      throw new BusError('operation-running', `readiness checks are running since ${running.startedAt}`);
    const id = `readiness-${randomUUID()}`;
    const [state, startedAt] = ['running', this.now()] as const;
    const common = { kind: 'readiness-checks', step: 'started', progressPercent: 0, finishedAt: null, error: null };
    this.runs.unshift({ id, state, startedAt, ...common });
    this.runs.splice(KEPT_OPERATIONS);
    void this.run(id, startedAt, { candidate, fix });
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

  private async run(id: string, startedAt: string, { candidate, fix }: RunOrder): Promise<void> {
    try {
      const beganMs = this.clock.nowMs();
      if (candidate) this.update(id, { step: 'proving the authentication key' });
      const counterpart = await (candidate ? this.counterparts.meet(candidate) : this.counterparts.pinned());
      const leftMs = Math.min(PEER_LIMIT_MS, beganMs + RUN_LIMIT_MS - this.clock.nowMs());
      const onStep = (step: string, done: number) => this.update(id, { step, progressPercent: Math.round(done * 80) });
      const measured = await this.bothSides.measure(counterpart, leftMs, onStep);
      const { sides, firewall } = fix
        ? await this.bothSides.open(measured, counterpart, onStep)
        : { sides: measured, firewall: undefined };
      for (const change of firewall ?? [])
        this.logger.warn('Ports were opened in the firewall, as an operator asked', { ...change });
      const before = await this.store.latest();
      const checks = evaluate(sides, this.requirements, before);
      const durationMs = Math.round(this.clock.nowMs() - beganMs);
      const comparedWith = before?.startedAt ?? null;
      const overall = overallOf(checks);
      const changes = firewall === undefined ? {} : { firewall };
      await this.store.keep({ operationId: id, startedAt, durationMs, overall, comparedWith, ...changes, checks });
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
