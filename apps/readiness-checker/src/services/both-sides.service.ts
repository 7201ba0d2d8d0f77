import type { FirewallOutcome, MeasurementOrder, Measurements } from '@understudy/contracts';
import type { ServerRole } from '@understudy/ha-core';
import type { Clock } from '@understudy/platform';
import type { Side, Sides } from '../domain/check.ts';
import { certainDifferenceMs } from '../domain/clock-difference.ts';
import { closedPorts } from '../domain/closed-ports.ts';
import type { Counterpart, Counterparts, KnownCounterpart } from '../ports/counterpart.port.ts';
import type { OnStep } from './measuring.service.ts';
import type { OwnSideService } from './own-side.service.ts';

const OPENING_MS = 8000;
const WAY_MS = 18_000;

/** What was done to the firewall of one server. */
export type FirewallChange = FirewallOutcome & { readonly server: ServerRole };

/** Both servers of a run. */
export class BothSidesService {
  constructor(
    private readonly role: ServerRole,
    private readonly own: OwnSideService,
    private readonly counterparts: Counterparts,
    private readonly clock: Clock,
  ) {}

  /** Measures both at the same time; the other one for `limitMs` at most. A server that does not answer is a finding. */
  async measure(counterpart: Counterpart, limitMs: number, onStep: OnStep): Promise<Sides> {
    return this.ask({}, counterpart, limitMs, onStep);
  }

  /** Opens the ports by which one server is closed to the other, and looks at the way between them again. */
  async open(
    sides: Sides,
    counterpart: Counterpart,
    onStep: OnStep,
  ): Promise<{ readonly sides: Sides; readonly firewall: FirewallChange[] }> {
    const otherRole = this.role === 'primary' ? 'secondary' : 'primary';
    const closed = {
      own: closedPorts({ of: sides[this.role], seenBy: sides[otherRole] }),
      other: closedPorts({ of: sides[otherRole], seenBy: sides[this.role] }),
    };
    if ('missing' in counterpart || closed.own.length + closed.other.length === 0) return { sides, firewall: [] };
    onStep('opening ports in the firewall', 1);
    const none = { value: { added: [], problem: null } };
    const [own, other] = await Promise.all([
      closed.own.length > 0 ? this.own.follow({ openPorts: closed.own }, counterpart) : { firewall: none },
      closed.other.length > 0
        ? this.askOther({ openPorts: closed.other }, counterpart, OPENING_MS)
        : { measurements: { firewall: none } },
    ]);
    const firewall = [...changeOf(this.role, { measurements: own }), ...changeOf(otherRole, other)].filter(
      ({ added, problem }) => added.length > 0 || problem !== null,
    );
    if (firewall.every(({ added }) => added.length === 0)) return { sides, firewall };
    const again = await this.ask({ only: 'way' }, counterpart, WAY_MS, onStep);
    return {
      sides: { primary: merged(sides.primary, again.primary), secondary: merged(sides.secondary, again.secondary) },
      firewall,
    };
  }

  private async ask(
    order: MeasurementOrder,
    counterpart: Counterpart,
    limitMs: number,
    onStep: OnStep,
  ): Promise<Sides> {
    const sentUnixMs = this.clock.unixMs();
    const otherSide = (
      'missing' in counterpart ? Promise.resolve(counterpart) : this.askOther(order, counterpart, limitMs)
    ).then((side: Side) => ({ side, receivedUnixMs: this.clock.unixMs() }));
    const measured = await this.own.follow(order, counterpart, onStep);
    onStep('waiting for the other server', 1);
    const { side: other, receivedUnixMs } = await otherSide;
    const own: Side = { measurements: { ...measured, ...ownClock(other, sentUnixMs, receivedUnixMs) } };
    return this.role === 'primary' ? { primary: own, secondary: other } : { primary: other, secondary: own };
  }

  private askOther(order: MeasurementOrder, counterpart: KnownCounterpart, limitMs: number): Promise<Side> {
    return this.counterparts.measure(counterpart, order, limitMs).then(
      (measurements): Side => ({ measurements }),
      (error: Error): Side => ({ missing: error.message, isSilent: true }),
    );
  }
}

/** What this server's clock showed when the question came to the other one, as far as that is certain. */
function ownClock(other: Side, sentUnixMs: number, receivedUnixMs: number): Pick<Measurements, 'unixMs'> {
  if ('missing' in other) return {};
  const { unixMs, endUnixMs } = other.measurements;
  if (!unixMs || !endUnixMs || !('value' in unixMs) || !('value' in endUnixMs)) return {};
  const times = { sentUnixMs, receivedUnixMs, arrivedUnixMs: unixMs.value, leftUnixMs: endUnixMs.value };
  return { unixMs: { value: unixMs.value - certainDifferenceMs(times) } };
}

function changeOf(server: ServerRole, side: Side): FirewallChange[] {
  if ('missing' in side) return [{ server, added: [], problem: side.missing }];
  const { firewall } = side.measurements;
  if (firewall !== undefined && 'value' in firewall) return [{ server, ...firewall.value }];
  return [{ server, added: [], problem: firewall?.notMeasured ?? 'its release cannot open ports' }];
}

/** What was measured again in place of what was measured before. */
function merged(before: Side, again: Side): Side {
  if ('missing' in before || 'missing' in again) return before;
  return { measurements: { ...before.measurements, ...again.measurements } };
}
