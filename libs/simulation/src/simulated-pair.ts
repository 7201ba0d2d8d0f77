import {
  actionRefusal,
  decide,
  type Effect,
  type FailoverType,
  type HaEvent,
  OPERATOR_EVENTS,
} from '@understudy/ha-core';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedServer, type Surroundings } from './simulated-server.ts';
import { SimulatedWitness } from './simulated-witness.ts';

const STEP_MS = 50;
const BEAT_MS = 1000;
const LOST_MS = 3000;
const CONFIRMED_MS = 5000;
const LEASE_MS = 4000;
const FENCE_MS = 1000;
const RENEW_MS = 500;
/** A server that stood still closes itself when it has looked at the time, and not before. */
const THAW_MS = FENCE_MS + 1500;
const STOP_AGAIN_MS = 10_000;
const BOTH_LIMIT_MS = 25_000;
const LOOK_AT_ACTIONS_MS = 3000;
const BOTH_LIMIT_WITH_HANGS_MS = 150_000;

/** An order with everything that an operator can acknowledge. */
const ANY_ORDER = {
  operationId: 'o',
  pairId: 'another',
  failoverType: 'manual',
  force: false,
  acceptDataLoss: true,
  confirmed: true,
  minutes: 1,
  reason: 'r',
  unixMs: 0,
};

/** A broken law of the design, found by the simulation. */
export class BrokenLaw extends Error {}

/**
 * Two servers with the real decision code, a link, a client that writes, and faults from a seed. Time is virtual: a step is 50 ms.
 */
export class SimulatedPair {
  primary: SimulatedServer;
  readonly secondary: SimulatedServer;
  readonly random: SeededRandom;
  readonly witness: SimulatedWitness | null;
  /** The servers that reach the witness. */
  readonly witnessReach = new Set<SimulatedServer>();
  linkUp = true;
  /** Probability that a message of a request between the servers is lost. */
  lossProbability = 0;
  /** Probability that an effect fails. */
  failureProbability = 0;
  /** Longest time that an effect takes. */
  effectMs = 0;
  /** Probability that an effect hangs. */
  hangProbability = 0;
  /** Probability that a look at a database does not tell its position. */
  blindProbability = 0;
  /** The standby receives nothing although it is connected. */
  stalled = false;
  /** Writes that a client was told are safe. */
  readonly acknowledged: string[] = [];
  private readonly newPrimary: () => SimulatedServer;
  private nowMs = 1000;
  private bothSinceMs = 0;
  private hung = false;
  private writes = 0;
  private pairs = 0;
  private linkUpSinceMs = 0;
  private thawedAtMs = Number.NEGATIVE_INFINITY;
  private machines = 1;
  /** The primary is a new machine, which has not begun to take part in the pair: it serves what it has of its own. */
  private isPrimaryNew = false;
  private epochs: Record<string, number> = { primary: 0, secondary: 0 };

  constructor(seed: number, withWitness = false) {
    this.witness = withWitness ? new SimulatedWitness() : null;
    this.random = new SeededRandom(seed);
    const around: Surroundings = {
      reachable: (from) => {
        const other = from === this.primary ? this.secondary : this.primary;
        return this.linkUp && other.up && from.up && !other.frozen && !from.frozen ? other : null;
      },
      delivers: () => !this.random.chance(this.lossProbability),
      effectFails: ({ kind }: Effect) => kind !== 'fence' && this.random.chance(this.failureProbability),
      failureOf: ({ kind }) =>
        kind === 'follow-peer' ? this.random.pick(['injected', 'copy-failed', 'rewind-failed']) : 'injected',
      witness: (from) => (this.witness !== null && from.awake && this.witnessReach.has(from) ? this.witness : null),
      effectTakes: (kind) => {
        // that closing takes no longer than that is what the lease is reckoned with
        if (kind === 'fence') return { ms: this.effectMs === 0 ? 0 : FENCE_MS - 2 * STEP_MS, worksAtOnce: false };
        if (kind.endsWith('database') && this.random.chance(this.hangProbability)) return this.hang();
        return this.effectMs === 0
          ? { ms: 0, worksAtOnce: false }
          : { ms: Math.floor(this.random.next() * this.effectMs), worksAtOnce: this.random.chance(0.5) };
      },
      positionUnknown: () => this.random.chance(this.blindProbability),
      nowMs: () => this.nowMs,
    };
    const settings = {
      maximumLagBytes: 20,
      minimumBetweenFailoversMs: 0,
      witness: withWitness ? ({ kind: 'nats', leaseMs: LEASE_MS, fenceMs: FENCE_MS } as const) : null,
    };
    this.newPrimary = () => new SimulatedServer('primary', around, settings, this.machines++);
    this.primary = this.newPrimary();
    this.secondary = new SimulatedServer('secondary', around, settings);
    for (const server of this.servers) this.witnessReach.add(server);
    this.primary.boot(false);
    this.secondary.boot(false);
  }

  get servers(): readonly SimulatedServer[] {
    return [this.primary, this.secondary];
  }

  get states(): string {
    return this.servers.map((server) => (server.up ? server.record.state : 'down')).join(' / ');
  }

  /** Virtual time in seconds. */
  get seconds(): number {
    return this.nowMs / 1000;
  }

  cut(): void {
    this.linkUp = false;
  }

  heal(): void {
    if (!this.linkUp) this.linkUpSinceMs = this.nowMs;
    this.linkUp = true;
  }

  /** A frozen server goes on. */
  thaw(server: SimulatedServer): void {
    if (!server.frozen) return;
    server.frozen = false;
    this.thawedAtMs = this.nowMs;
    server.thawedAtMs = this.nowMs;
    server.lastHeardMs = this.nowMs;
    server.lastFailureMs = this.nowMs;
    this.linkUpSinceMs = this.nowMs;
  }

  /** Registers the pair and waits until it protects itself. */
  register(failoverType: FailoverType): void {
    this.run(3);
    this.orderRegistration(failoverType);
    this.until(() => this.states === 'primary-active / secondary-syncing', 30);
  }

  /** Lets time pass. */
  run(seconds: number): void {
    for (const end = this.nowMs + seconds * 1000; this.nowMs < end; ) this.step();
  }

  /** Lets time pass until the condition holds; a broken law when it does not within the limit. */
  until(condition: () => boolean, seconds: number): void {
    const end = this.nowMs + seconds * 1000;
    while (!condition()) {
      if (this.nowMs >= end) throw new BrokenLaw(`not reached within ${seconds} s; the states are ${this.states}`);
      this.step();
    }
  }

  /** One server serves and the other follows it. */
  get isProtected(): boolean {
    const states = this.states;
    return (
      (states === 'primary-active / secondary-syncing' || states === 'primary-syncing / secondary-active') &&
      this.primary.streaming()
    );
  }

  /** The operator's order to register, with a pair of its own each time. */
  orderRegistration(failoverType: FailoverType): void {
    const pairId = `pair-${++this.pairs}`;
    this.primary.feed({ type: 'operator-register', operationId: `registration-${this.pairs}`, pairId, failoverType });
  }

  /** The primary's machine is lost with all that it had. A new one stands in its place, installed and not paired. */
  loseMachineOfPrimary(): void {
    const { primary } = this;
    primary.crash();
    this.witnessReach.delete(primary);
    this.primary = this.newPrimary();
    this.witnessReach.add(this.primary);
    this.epochs.primary = 0;
    this.isPrimaryNew = true;
    this.primary.boot(false);
  }

  /** The operator's order to put the new primary in the place of the lost one. */
  orderReplacement(failoverType: FailoverType): string | null {
    const pairId = `pair-${++this.pairs}`;
    const order = { pairId, failoverType, replacesPrimary: true, confirmed: true };
    const operationId = `replacement-${this.pairs}`;
    return this.primary.feed({ type: 'operator-register', operationId, ...order }).refusal;
  }

  /**
   * What an operator does who finds the primary lost with its machine: has the secondary serve, and replaces the primary. Where the
   * witness knows that the secondary lacks what the lost primary wrote last, or it has no database, the pair is given up.
   */
  replacePrimary(failoverType: FailoverType): void {
    const { primary, secondary } = this;
    const giveUpAtMs = this.nowMs + 300_000;
    this.until(() => {
      if (secondary.record.state === 'secondary-active') {
        if (primary.record.state === 'ha-not-configured') this.orderReplacement(failoverType);
      } else {
        secondary.feed({ type: 'operator-failover', operationId: 'failover', acceptDataLoss: true });
        if (this.nowMs > giveUpAtMs)
          secondary.feed({ type: 'operator-remove', operationId: 'remove', confirmed: true, acceptDataLoss: true });
      }
      return !this.waitsForPrimary && primary.record.state !== 'ha-initializing';
    }, 600);
  }

  /** Planned work, ordered on that server: the one that might take over hears of it first. */
  maintenance(server: SimulatedServer, minutes: number): void {
    const order = { type: 'operator-maintenance', minutes, reason: 'planned', unixMs: this.nowMs } as const;
    const other = server === this.primary ? this.secondary : this.primary;
    const reachable = this.linkUp && other.up;
    if (server.record.opened && !reachable) return;
    for (const each of server.record.opened ? [other, server] : [server, other])
      if (each === server || reachable) each.feed(order);
  }

  /** Neither server is paired. */
  get isUnpaired(): boolean {
    return this.states === 'ha-not-configured / ha-not-configured';
  }

  /** The secondary has dissolved the pair on its operator's word: the primary waits for its own. */
  get waitsForRemoval(): boolean {
    const { primary, secondary } = this;
    return (
      secondary.record.state === 'ha-not-configured' &&
      ['primary-alone', 'primary-lost-secondary'].includes(primary.record.state) &&
      primary.record.inFlight === null
    );
  }

  /** The primary was lost with its machine, or has given a replacement up: the secondary waits for another one. */
  get waitsForPrimary(): boolean {
    const { primary, secondary } = this;
    return (
      primary.record.state === 'ha-not-configured' &&
      secondary.record.pairId !== null &&
      !primary.record.dissolved.includes(secondary.record.pairId)
    );
  }

  private step(): void {
    this.nowMs += STEP_MS;
    const whole = this.nowMs % BEAT_MS === 0;
    for (const server of this.servers) {
      if (!server.up || server.frozen) continue;
      const before = server.record;
      server.work();
      if (whole) {
        server.observe();
        server.feed({ type: 'tick', unixMs: this.nowMs });
      }
      if (this.nowMs % RENEW_MS === 0) server.lookAtWitness();
      this.beat(server, whole, before !== server.record);
    }
    if (this.nowMs % 200 === 0) this.write();
    this.replicate();
    this.checkLaws();
  }

  private beat(server: SimulatedServer, whole: boolean, changed: boolean): void {
    const other = server === this.primary ? this.secondary : this.primary;
    if (server.pinned === null) return;
    // another machine shows another certificate
    const reachable = this.linkUp && other.up && !other.frozen && server.pinned.certificate === other.certificate;
    // a server that has forgotten its peer does not answer its beats; asked at its URL, it says what became of the pair
    const remembers = other.record.pairId !== null || other.record.inFlight !== null;
    const hears = reachable && other.pinned?.pairId === server.pinned.pairId && remembers;
    if (hears && whole) {
      server.lastHeardMs = this.nowMs;
      other.feed({ type: 'beat-answered' });
      server.feed({ type: 'peer-heard', status: other.status(), sentAtMs: this.nowMs });
    }
    if (hears && changed) {
      other.lastHeardMs = this.nowMs;
      server.feed({ type: 'beat-answered' });
      other.feed({ type: 'peer-heard', status: server.status(), sentAtMs: this.nowMs });
    }
    if (!whole) return;
    const silentMs = this.nowMs - server.lastHeardMs;
    const { pairId } = server.record;
    if (silentMs >= CONFIRMED_MS && reachable && pairId !== null && other.record.dissolved.includes(pairId))
      server.feed({ type: 'pair-dissolved', pairId });
    if (silentMs >= CONFIRMED_MS) server.feed({ type: reachable ? 'peer-answered-probe' : 'peer-confirmed-lost' });
    else if (silentMs >= LOST_MS) server.feed({ type: 'peer-lost' });
  }

  private replicate(): void {
    for (const [source, standby] of [
      [this.primary, this.secondary],
      [this.secondary, this.primary],
    ] as const) {
      if (!this.stalled && source.database.mode === 'read-write' && source.streaming()) standby.receive(source);
    }
  }

  private write(): void {
    for (const server of this.servers) {
      if (!server.serving) continue;
      const write = `${server.record.hold}:${++this.writes}`;
      server.database.log.push(write);
      this.acknowledged.push(write);
    }
  }

  /** A pair that was dissolved by one side hears of it by the URL, after the ladder. */
  private dissolvedSinceMs(): number {
    const { primary, secondary } = this;
    return primary.record.pairId === null && secondary.record.pairId !== null
      ? Math.max(primary.lastHeardMs, secondary.lastHeardMs) + CONFIRMED_MS
      : 0;
  }

  private checkLaws(): void {
    const { primary, secondary } = this;
    this.isPrimaryNew &&= primary.record.state.startsWith('ha-');
    const physical = (server: SimulatedServer) =>
      server.up && !server.frozen && server.processesRunning && server.database.mode === 'read-write';
    if (!physical(primary) || !physical(secondary) || !this.linkUp || this.isPrimaryNew) this.bothSinceMs = this.nowMs;
    if (
      this.nowMs - Math.max(this.bothSinceMs, this.linkUpSinceMs) >
      (this.hung ? BOTH_LIMIT_WITH_HANGS_MS : BOTH_LIMIT_MS)
    )
      throw new BrokenLaw('the application works on both servers although they hear each other');
    if (this.nowMs % LOOK_AT_ACTIONS_MS === 0) this.checkActions();
    for (const server of this.servers) {
      if (server.brokenLaw !== null) throw new BrokenLaw(server.brokenLaw);
      const { epoch, role } = server.record;
      if (epoch < (this.epochs[role] ?? 0)) throw new BrokenLaw(`the epoch of the ${role} fell to ${epoch}`);
      this.epochs[role] = epoch;
      if (
        server.awake &&
        !server.unkillable &&
        server.processesRunning &&
        server.record.pairId !== null &&
        server.record.hold === 0 &&
        !server.record.inFlight &&
        // what cannot be stopped is stopped again and again
        this.nowMs - server.lastFailureMs > STOP_AGAIN_MS &&
        server.record.state !== 'ha-initializing'
      ) {
        throw new BrokenLaw(
          `the application runs on the ${role}, which does not own the role (${server.record.state})`,
        );
      }
    }
    for (const { up, record, processesRunning, lastFailureMs } of [secondary]) {
      const idle = record.inFlight === null && this.nowMs - lastFailureMs > STOP_AGAIN_MS;
      if (up && record.state === 'ha-not-configured' && processesRunning && idle)
        throw new BrokenLaw('the application runs on a secondary that is not paired');
    }
    if (primary.serving && secondary.serving && !this.isPrimaryNew) {
      const thawed = this.nowMs - this.thawedAtMs < THAW_MS;
      if (
        !thawed &&
        this.witness !== null &&
        primary.record.pairId !== null &&
        primary.record.pairId === secondary.record.pairId
      )
        throw new BrokenLaw('both are active although there is a witness');
      if (primary.record.hold === secondary.record.hold) throw new BrokenLaw('both are active under the same epoch');
      const talkingMs = this.nowMs - Math.max(this.linkUpSinceMs, this.dissolvedSinceMs());
      if (this.linkUp && talkingMs > 2 * BEAT_MS)
        throw new BrokenLaw(`both are active although they have heard each other for ${talkingMs} ms`);
    }
  }

  /** An effect that makes no progress is given up after two minutes. */
  private hang(): { ms: number; worksAtOnce: boolean } {
    this.hung = true;
    return { ms: 120_000, worksAtOnce: this.random.chance(0.5) };
  }

  /** What is offered to an operator is taken when it is ordered. */
  private checkActions(): void {
    for (const server of this.servers) {
      if (!server.up || server.frozen) continue;
      for (const type of OPERATOR_EVENTS) {
        if (actionRefusal(server.view, type, this.nowMs) !== null) continue;
        const order = { ...ANY_ORDER, type, atMs: this.nowMs } as unknown as HaEvent;
        const { rule, refusal } = decide(server.view, order);
        if (rule === null)
          throw new BrokenLaw(`${type} is offered in ${server.record.state} and then refused: ${refusal}`);
      }
    }
  }
}
