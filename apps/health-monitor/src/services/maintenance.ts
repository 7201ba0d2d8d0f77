import { AnnounceMaintenance } from '@understudy/contracts';
import { otherRole } from '@understudy/ha-core';
import { type Bus, BusError } from '@understudy/messaging';
import { maintenanceView } from '../domain/views.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';

const ANSWER_LIMIT_MS = 3000;

/** What became of telling the peer. `unknown`: it may have taken it, and its answer was lost. */
type Told = { readonly outcome: 'taken' } | { readonly outcome: 'not-taken' | 'unknown'; readonly why: string };

/**
 * Planned work on the pair: both servers know of it, so that neither takes over meanwhile, whichever of them got the order.
 * Decision: docs/decisions/0008-maintenance.md.
 */
export class MaintenanceService {
  constructor(
    private readonly monitor: HealthMonitorService,
    private readonly bus: Bus,
    private readonly clock: { nowMs(): number; unixMs(): number },
  ) {}

  /**
   * Begins it here and on the peer. The server that might take over has to know first: an active one whose standby cannot be told refuses.
   */
  async begin(minutes: number, reason: string) {
    const refusal = this.monitor.refusalOf(this.beginning(minutes, reason));
    if (refusal !== null) throw refusal;
    const before = this.underWay;
    // the peer may keep the longer one, and would not close itself in time
    if (before !== null && Date.parse(before.until) > this.clock.unixMs() + minutes * 60_000)
      throw new BusError(
        'not-allowed',
        `maintenance is under way until ${before.until}: end it, and begin a shorter one`,
      );
    const isActive = this.monitor.record.opened;
    if (isActive) this.requireTold(await this.tell(minutes, reason));
    await this.monitor.order(this.beginning(minutes, reason));
    if (!isActive) await this.tellActive(minutes, reason, before === null);
    const maintenance = this.underWay;
    if (maintenance === null) throw new BusError('not-allowed', 'the maintenance was ended at once');
    return { maintenance };
  }

  /** Ends it here and, when it can be told, on the peer; there it ends by its time limit otherwise. The active server first. */
  async end(): Promise<{ maintenance: null }> {
    const refusal = this.monitor.refusalOf({ type: 'operator-maintenance-end' });
    if (refusal !== null) throw refusal;
    const isActive = this.monitor.record.opened;
    if (!isActive) {
      const told = await this.tell(null, '');
      if (this.hasLease) this.requireTold(told);
    }
    await this.monitor.order({ type: 'operator-maintenance-end' });
    if (isActive) await this.tell(null, '');
    return { maintenance: null };
  }

  /** A server that has a lease closes itself when it is cut off, but for maintenance: then both have to know the same. */
  private get hasLease(): boolean {
    return this.monitor.view.settings.witness?.kind === 'nats';
  }

  private get underWay() {
    return maintenanceView(this.monitor.view, { nowMs: this.clock.nowMs(), unixMs: this.clock.unixMs() });
  }

  /**
   * An active server may be in maintenance without an answer of it having come: then this one has to stay in it, or it would take over
   * from a server that does not close itself.
   */
  private async tellActive(minutes: number, reason: string, isNew: boolean): Promise<void> {
    const told = await this.tell(minutes, reason);
    if (told.outcome === 'taken' || !this.hasLease) return;
    if (told.outcome === 'not-taken' && isNew)
      await this.monitor.order({ type: 'operator-maintenance-end' }).catch(() => undefined);
    if (told.outcome === 'not-taken') this.requireTold(told);
    throw new BusError(
      'peer-unreachable',
      `the active server did not say whether it takes part (${told.why}): maintenance is under way here; repeat the order, or end it, when the servers hear each other`,
    );
  }

  private requireTold(told: Told): void {
    if (told.outcome === 'taken') return;
    throw new BusError(
      'peer-unreachable',
      `the ${this.peerRole} cannot be told, and might take over: give the order there (${told.why})`,
    );
  }

  private get peerRole() {
    return otherRole(this.monitor.record.role);
  }

  private beginning(minutes: number, reason: string) {
    return { type: 'operator-maintenance', minutes, reason, unixMs: this.clock.unixMs() } as const;
  }

  private async tell(minutes: number | null, reason: string): Promise<Told> {
    const data = { pairId: this.monitor.record.pairId ?? '', minutes, reason };
    try {
      const timing = { role: this.peerRole, timeoutMs: ANSWER_LIMIT_MS } as const;
      const told = await this.bus.request(AnnounceMaintenance, data, timing);
      // an end that finds nothing to end is as good
      return told.accepted || minutes === null ? { outcome: 'taken' } : { outcome: 'not-taken', why: told.reason };
    } catch (error) {
      const isNobodyThere = error instanceof BusError && error.code === 'no-responder';
      return { outcome: isNobodyThere ? 'not-taken' : 'unknown', why: String((error as Error).message) };
    }
  }
}
