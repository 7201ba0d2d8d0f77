import { CompareVirtualIp, type NotedVirtualIp } from '@understudy/contracts';
import { otherRole } from '@understudy/ha-core';
import { type Bus, BusError } from '@understudy/messaging';
import { Turns } from '../domain/turns.ts';
import { listOf, type VirtualAddresses, type VirtualIpRequirements } from '../virtual-ip/index.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';
import type { Pairing } from './pairing.ts';

const COMPARE_EVERY_MS = 5000;
const ANSWER_LIMIT_MS = 3000;

const textOf = (addresses: VirtualAddresses) => listOf(addresses).join(' and ') || 'none';

/**
 * The virtual IP as both servers have noted it: changed in place by an operator of the primary, compared again and again, and said where
 * it differs or where one of the two could not hold it. Decision: docs/decisions/0018-virtual-ip.md.
 */
export class SharedVirtualIp {
  private timer: NodeJS.Timeout | undefined;
  private readonly said = new Map<string, string>();
  private readonly turns = new Turns();

  constructor(
    private readonly monitor: HealthMonitorService,
    private readonly pairing: Pairing,
    private readonly requirements: VirtualIpRequirements,
    private readonly bus: Bus,
  ) {}

  start(): void {
    this.bus.handle(CompareVirtualIp, async ({ pairId, noted, onlyAsked }) => {
      if (pairId !== this.monitor.record.pairId)
        throw new BusError('wrong-pair', 'this server belongs to another pair, or to none', false);
      if (!onlyAsked) await this.take(noted);
      return { noted: this.pairing.notedVirtualIp, objections: this.objections(noted) };
    });
    const compare = () => {
      const { link, record } = this.monitor.view;
      if (record.pairId === null) return;
      this.sayOnce('own', this.objections(this.pairing.virtualIp)[0]?.message);
      if (link === 'up') void this.compareNow().catch(() => undefined);
    };
    this.timer = setInterval(compare, COMPARE_EVERY_MS);
    compare();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /**
   * Another virtual IP from now on. It is noted here first: whatever happens then, this change is the newest, and the other server takes
   * it over as soon as the two hear each other. Throws BusError `invalid-input` with the fields that cannot be, `peer-unreachable`, or why
   * it is not possible now.
   */
  change(wanted: VirtualAddresses): Promise<void> {
    // one after another: two at a time would bear the same number, and one of them would be lost
    return this.turns.take(() => this.changeNow(wanted));
  }

  private async changeNow(wanted: VirtualAddresses): Promise<void> {
    const { pairing, monitor } = this;
    const { failoverType } = monitor.record;
    // the same conditions as for every other setting of the pair
    const refusal = monitor.refusalOf({ type: 'operator-failover-type', failoverType });
    if (refusal !== null) throw refusal;
    const noted = { ...wanted, change: pairing.notedVirtualIp.change + 1 };
    const own = await this.requirements.objectionsNow(wanted, this.servers);
    const objections = own.length > 0 ? own : (await this.compare(noted, true)).objections;
    const [first] = objections;
    if (first !== undefined) throw new BusError('invalid-input', first.message, false, objections);
    await this.take(noted);
    await this.compareNow().catch(() => undefined);
  }

  /** Makes both servers have the newer one, or says that they differ. Throws BusError `peer-unreachable`. */
  async compareNow(): Promise<void> {
    await this.compare(this.pairing.notedVirtualIp, false);
  }

  /** Tells the peer, and takes over what it has. */
  private async compare(noted: NotedVirtualIp, onlyAsked: boolean) {
    const { role, pairId } = this.monitor.record;
    const timing = { role: otherRole(role), timeoutMs: ANSWER_LIMIT_MS };
    const answer = await this.bus
      .request(CompareVirtualIp, { pairId: pairId ?? '', noted, onlyAsked }, timing)
      .catch((error: unknown) => {
        const { code, message: said } = error as BusError;
        const detail = code === 'no-responder' ? '' : ` (${said})`;
        const message = `the ${timing.role} does not answer${detail}: the virtual IP is changed when both hear each other`;
        throw new BusError('peer-unreachable', message);
      });
    // the pair may have been removed meanwhile
    if (onlyAsked || this.monitor.record.pairId !== pairId) return answer;
    await this.take(answer.noted);
    this.sayOnce('peer', answer.objections[0]?.message);
    return answer;
  }

  private async take(noted: NotedVirtualIp): Promise<void> {
    const own = this.pairing.notedVirtualIp;
    const [is, was] = [textOf(noted), textOf(own)];
    const isNewer = noted.change > own.change;
    // one whose notes were lost has them from the other again
    const isFound = noted.change === own.change && was === 'none' && is !== 'none';
    if (isNewer || isFound) {
      await this.pairing.noteVirtualIp(noted);
      this.monitor.events.note({
        severity: 'info',
        code: 'virtual-ip-changed',
        message: `The virtual IP of the pair is ${is} now, and was ${was}`,
      });
      return;
    }
    const differs = noted.change === own.change && is !== was && is !== 'none';
    const message = `the servers disagree about it: here it is ${was}, at the peer ${is}; say on the primary which it is, with "ha virtual-ip"`;
    this.sayOnce('differs', differs ? message : undefined);
  }

  private objections(wanted: VirtualAddresses): { pointer: string; message: string }[] {
    return this.requirements.objections(wanted, this.servers);
  }

  private get servers() {
    const { name: ownName, address: ownAddress } = this.pairing.ownFacts;
    return { ownName, ownAddress, peerAddress: this.pairing.peer?.address ?? ownAddress };
  }

  /** What is wrong is said when it begins, not each time it is seen. */
  private sayOnce(about: string, message: string | undefined): void {
    if (message === undefined) this.said.delete(about);
    else if (this.said.get(about) !== message) {
      this.said.set(about, message);
      this.monitor.events.note({ severity: 'warning', code: 'virtual-ip-unfit', message: `Virtual IP: ${message}` });
    }
  }
}
