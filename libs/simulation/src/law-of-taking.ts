import { type Decision, type HaEvent, lineageOf, parseLsn, type Server, type ServerRecord } from '@understudy/ha-core';
import type { SimulatedServer } from './simulated-server.ts';
import { isContained } from './wal.ts';

/** What lets a server open its database after a start: consent, an order to act alone, or the search for a later owner. */
const WARRANTS = new Set([
  ...['P-72', 'P-78', 'P-122', 'P-147', 'S-51', 'S-40', 'S-42', 'S-60', 'S-61'],
  ...['S-141', 'S-142', 'S-143', 'S-151'],
]);

/** A server that stood still writes until it has looked at the time, and not longer. */
const THAW_MS = 1000;

/** Laws 4 to 6 for one server: it takes the role only with a right to it, and with all that it has to have. */
export class LawOfTaking {
  private hasWarrant = true;
  /** The epoch under which it owned the role when it was last heard of. */
  private hold = 0;
  /** The operator whose order is being carried out has accepted that data are lost. */
  private isLossAccepted = false;
  /** The furthest position that the peer has told of, by lineage. */
  private readonly told = new Map<number, bigint>();

  constructor(private readonly server: SimulatedServer) {}

  /** The server has started: it may not open before it has asked, unless nobody is to be asked. */
  started({ pairId, state, hold }: ServerRecord): void {
    this.hold = hold;
    this.hasWarrant = pairId === null || state === 'ha-initializing';
  }

  /** What was only heard is forgotten with the process that heard it. */
  managerStarted({ peerPosition, hold }: ServerRecord): void {
    // the manager before has decided, and ended before it could tell
    if (hold !== this.hold) this.hasWarrant = true;
    this.hold = hold;
    this.told.clear();
    if (peerPosition !== null) this.told.set(peerPosition.lineage, parseLsn(peerPosition.lsn));
  }

  askedToOpen(): void {
    const { role, record } = this.server;
    if (role === 'primary' && record.pairId !== null && !record.complete)
      this.breaks('the primary opens a database that is not whole');
    if (!this.hasWarrant) this.breaks(`the ${this.server.role} opens its database after a start without having asked`);
  }

  /** With a witness nothing is opened without a right to serve, however late it comes to it. `known`: what the manager knows, or knew. */
  opens(known: Server | null): void {
    const { role, thawedAtMs, around } = this.server;
    if (known === null || known.settings.witness?.kind !== 'nats') return;
    const { record, peerGrantUntilMs, witness } = known;
    const { nowMs } = around.clock;
    // whoever is not paired yet serves by itself
    if (record.pairId === null || record.state === 'ha-initializing') return;
    if (record.maintenance !== null || nowMs - thawedAtMs < THAW_MS) return;
    const lateMs = nowMs - Math.max(peerGrantUntilMs, witness?.leaseUntilMs ?? 0);
    if (lateMs > 0) this.breaks(`the ${role} opens its database ${lateMs} ms after its right to serve has ended`);
  }

  decided({ rule, server: { record } }: Decision, event: HaEvent, before: ServerRecord): void {
    if (event.type === 'peer-heard' && event.status.lsn !== null) {
      const { lineage, lsn } = event.status;
      const told = this.told.get(lineage) ?? 0n;
      this.told.set(lineage, parseLsn(lsn) > told ? parseLsn(lsn) : told);
    }
    if (rule !== null && 'acceptDataLoss' in event) this.isLossAccepted = event.acceptDataLoss;
    this.hold = record.hold;
    // what takes the place of a lost primary has nothing to open
    if (rule?.id === 'P-11') this.hasWarrant = false;
    if (record.pairId === null || (rule !== null && WARRANTS.has(rule.id))) this.hasWarrant = true;
    if (rule?.change?.includes('take-role-alone')) this.takesAlone(rule.id, event, before);
    if (rule?.id === 'S-142' || rule?.id === 'S-143') this.takesWithoutLoss(rule.id, rule.id === 'S-142');
    if (rule?.change?.includes('accept-consent')) this.takesByConsent(rule.id, before);
  }

  private takesAlone(ruleId: string, event: HaEvent, before: ServerRecord): void {
    const { role, settings, database } = this.server;
    const missing = Number((this.told.get(lineageOf(before)) ?? 0n) - parseLsn(database.lsn));
    const allowed = event.type.startsWith('operator-') ? 0 : settings.maximumLagBytes;
    const isAccepted = 'acceptDataLoss' in event && event.acceptDataLoss;
    if (this.server.settings.replication === 'sync' && before.hold === 0) {
      if (!isAccepted) this.takesWithoutLoss(ruleId, false);
      return; // what it was told of may wait to be acknowledged
    }
    if (missing > allowed && !isAccepted)
      this.breaks(`the ${role} takes the role by ${ruleId} although it was told of ${missing} more writes`);
  }

  /** With synchronous replication: what was acknowledged is here, unless an operator has accepted that something is lost. */
  private takesWithoutLoss(ruleId: string, isOrdered: boolean): void {
    const { role, settings, around } = this.server;
    if (settings.replication === 'async' || (isOrdered && this.isLossAccepted)) return;
    const missing = around.acknowledgedMissing(this.server);
    if (missing > 0) this.breaks(`the ${role} takes the role by ${ruleId} without ${missing} acknowledged writes`);
  }

  private takesByConsent(ruleId: string, before: ServerRecord): void {
    const { role, database, other: giver } = this.server;
    if (giver.database.mode === 'read-write' && giver.up)
      this.breaks(`the ${role} takes the role by ${ruleId} while the database of the giver is open`);
    if (
      before.operation?.kind !== 'forced-failback' && // on the other server the operator has accepted the loss
      !(this.isLossAccepted && ['activate-alone', 'failover'].includes(before.operation?.kind ?? '')) &&
      database.mode !== 'none' &&
      lineageOf(giver.record) === lineageOf(before) &&
      giver.record.complete &&
      !isContained(giver.database.wal, database.wal)
    )
      this.breaks(`the ${role} takes the role by ${ruleId} without writes that the giver of the consent has`);
  }

  private breaks(law: string): void {
    this.server.brokenLaw ??= law;
  }
}
