import { AnnounceMaintenance } from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import { maintenanceView } from '../domain/views.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';

const ANSWER_LIMIT_MS = 3000;

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
    const isActive = this.monitor.record.opened;
    if (isActive) await this.tell(minutes, reason, true);
    await this.monitor.order(this.beginning(minutes, reason));
    if (!isActive) await this.tell(minutes, reason, this.hasLease).catch((error) => this.undo(error));
    const maintenance = maintenanceView(this.monitor.view, { nowMs: this.clock.nowMs(), unixMs: this.clock.unixMs() });
    if (maintenance === null) throw new BusError('not-allowed', 'the maintenance was ended at once');
    return { maintenance };
  }

  /** Ends it here and, when it can be told, on the peer; there it ends by its time limit otherwise. The active server first. */
  async end(): Promise<{ maintenance: null }> {
    const refusal = this.monitor.refusalOf({ type: 'operator-maintenance-end' });
    if (refusal !== null) throw refusal;
    const isActive = this.monitor.record.opened;
    if (!isActive) await this.tell(null, '', this.hasLease);
    await this.monitor.order({ type: 'operator-maintenance-end' });
    if (isActive) await this.tell(null, '', false);
    return { maintenance: null };
  }

  /** A server that has a lease closes itself when it is cut off, but for maintenance: then both have to know the same. */
  private get hasLease(): boolean {
    return this.monitor.view.settings.witness?.kind === 'nats';
  }

  private async undo(error: unknown): Promise<never> {
    await this.monitor.order({ type: 'operator-maintenance-end' }).catch(() => undefined);
    throw error;
  }

  private beginning(minutes: number, reason: string) {
    return { type: 'operator-maintenance', minutes, reason, unixMs: this.clock.unixMs() } as const;
  }

  private async tell(minutes: number | null, reason: string, mustBeTold: boolean): Promise<void> {
    const { role, pairId } = this.monitor.record;
    const peerRole = role === 'primary' ? 'secondary' : 'primary';
    try {
      const data = { pairId: pairId ?? '', minutes, reason };
      const told = await this.bus.request(AnnounceMaintenance, data, { role: peerRole, timeoutMs: ANSWER_LIMIT_MS });
      // an end that finds nothing to end is as good
      if (!told.accepted && minutes !== null) throw new Error(told.reason);
    } catch (error) {
      if (!mustBeTold) return;
      throw new BusError(
        'peer-unreachable',
        `the ${peerRole} cannot be told, and might take over: give the order there (${error instanceof Error ? error.message : String(error)})`,
      );
    }
  }
}
