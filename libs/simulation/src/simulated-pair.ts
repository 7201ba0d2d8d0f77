import type { Decision, FailoverType, HaEvent, ServerRole, WitnessSettings } from '@understudy/ha-core';
import { shortestLeaseSeconds, type WitnessTiming, witnessTiming, wordLastsMs } from '@understudy/platform';
import { type Adversity, CALM, courseOf, HANG_MS } from './adversity.ts';
import { brokenLawOf, type Seen } from './laws.ts';
import { SeededRandom } from './seeded-random.ts';
import type { Write } from './simulated-database.ts';
import { heartbeatTimes } from './simulated-heartbeat.ts';
import { CHANNELS, type Channel, SimulatedNetwork } from './simulated-network.ts';
import { SimulatedServer, type Surroundings } from './simulated-server.ts';
import { SimulatedWitness } from './simulated-witness.ts';
import { Tally } from './tally.ts';
import { Trace } from './trace.ts';
import { VirtualClock } from './virtual-clock.ts';
import { reachOn } from './wal.ts';

const WRITE_MS = 500;
/** Far more than any moment has: what waited for a record that took minutes is decided at once. */
const DECISIONS_IN_A_MOMENT = 100_000;

/** Which pair is simulated. */
export interface PairVariant {
  readonly witness: 'none' | 'nats' | 'gateway';
  /** Limits of an automatic failover: writes that may be missing, and the time between two. */
  readonly maximumLagWrites: number;
  readonly minimumBetweenFailoversMs: number;
  /** Between two beats; a lease is as short as it may be with that. */
  readonly beatMs: number;
  readonly replication: 'async' | 'sync';
}

export const PLAIN_VARIANT: PairVariant = {
  witness: 'none',
  maximumLagWrites: 20,
  minimumBetweenFailoversMs: 0,
  beatMs: 1000,
  replication: 'async',
};

/** Where the writes of a timeline begin and end that a client was told are safe. */
export interface Acknowledged {
  readonly from: number;
  to: number;
  /** Up to where a server of a pair said so. Behind it the server was in none any more: its peer owes nobody what it wrote by itself. */
  ofPairTo: number;
}

/** A broken law of the design, found by the simulation. */
export class BrokenLaw extends Error {}

/** Two servers with the production runtime, a network between them, a witness, and a client that writes. Time is virtual. */
export class SimulatedPair {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly witness: SimulatedWitness | null;
  /** The servers that reach the witness. */
  readonly witnessReach = new Set<SimulatedServer>();
  readonly primary: SimulatedServer;
  readonly secondary: SimulatedServer;
  readonly tally = new Tally();
  readonly trace = new Trace(this);
  adversity: Adversity = CALM;
  readonly acknowledged = new Map<number, Acknowledged>();
  /** Since when every message of the pair link went through; before, the servers may not have heard each other. */
  soundSinceMs = 0;
  /** The last time that something hung which may take two minutes to be given up. */
  hungAtMs = Number.NEGATIVE_INFINITY;
  /** The primary is a new machine, which does not take part in a pair yet: it serves what it has of its own. */
  isPrimaryNew = false;
  /** An operator has said at some time that something may be lost, has dissolved a pair, or put a machine with data of its own in a lost one's place. */
  isLossAccepted = false;
  /** What the laws have to remember between two looks. */
  readonly seen: Seen = { bothSinceMs: 0, actionsLookedAtMs: 0, epochs: { primary: 0, secondary: 0 } };
  private readonly lease: WitnessTiming;
  private timelines = 0;
  private moment = { atMs: 0, decisions: 0 };
  private pairs = 0;

  constructor(
    seed: number,
    readonly variant: PairVariant = PLAIN_VARIANT,
  ) {
    const random = new SeededRandom(seed);
    this.lease = witnessTiming(shortestLeaseSeconds(variant.beatMs / 1000));
    this.random = random;
    this.network = new SimulatedNetwork(
      random,
      () => this.adversity,
      () => {
        this.soundSinceMs = this.clock.nowMs;
      },
    );
    this.witness = variant.witness === 'nats' ? new SimulatedWitness() : null;
    const around = this.surroundings();
    const settings = {
      maximumLagBytes: variant.maximumLagWrites,
      minimumBetweenFailoversMs: variant.minimumBetweenFailoversMs,
      replication: variant.replication,
      wordLastsMs: wordLastsMs(heartbeatTimes(variant.beatMs / 1000)),
      witness: witnessSettings(variant.witness, this.lease),
    };
    this.primary = new SimulatedServer('primary', around, settings);
    this.secondary = new SimulatedServer('secondary', around, settings);
    for (const server of this.servers) {
      this.witnessReach.add(server);
      server.boot();
    }
    this.nextWrites();
  }

  get servers(): readonly [SimulatedServer, SimulatedServer] {
    return [this.primary, this.secondary];
  }

  get states(): string {
    return this.servers.map((server) => (server.up ? server.record.state : 'down')).join(' / ');
  }

  /** Virtual time in seconds. */
  get seconds(): number {
    return this.clock.nowMs / 1000;
  }

  /** Cuts both directions, or some of it. */
  cut(from: readonly ServerRole[] = ['primary', 'secondary'], channels: readonly Channel[] = CHANNELS): void {
    for (const role of from) this.network.cut(role, channels);
  }

  heal(): void {
    this.network.heal();
  }

  /** Registers the pair and waits until it protects itself. */
  async register(failoverType: FailoverType): Promise<void> {
    await this.run(3);
    this.orderRegistration(failoverType);
    await this.until(() => this.states === 'primary-active / secondary-syncing', 60);
  }

  /** The operator's order to register, with a pair of its own each time. */
  orderRegistration(failoverType: FailoverType): void {
    const pairId = `pair-${++this.pairs}`;
    this.primary.tell({ type: 'operator-register', operationId: `registration-${this.pairs}`, pairId, failoverType });
  }

  /** The product is taken off a server that is not paired, with all that it has there, and installed and started anew. */
  reinstall(server: SimulatedServer): void {
    this.seen.epochs[server.role] = 0;
    server.loseMachine();
  }

  /** The record of that server is lost. What it alone has may be set aside for another that takes itself for the owner: decision 14. */
  loseRecord(server: SimulatedServer, lost: 'journal' | 'both' | 'restored'): void {
    for (const [timeline, known] of this.acknowledged)
      known.ofPairTo = Math.min(known.ofPairTo, reachOn(server.other.database.wal, timeline) ?? known.from);
    server.loseRecord(lost);
  }

  /** The primary's machine is lost, and with it whatever the secondary has not got. A new one stands in its place. */
  loseMachineOfPrimary(): void {
    const { primary, secondary } = this;
    // what a secondary has that was dissolved is protected by nobody any more
    const copy = secondary.record.pairId === null ? null : secondary.database.wal;
    for (const [timeline, { from, to, ofPairTo }] of this.acknowledged) {
      const end = Math.max(from, reachOn(copy, timeline) ?? secondary.database.setAside.get(timeline) ?? from);
      this.acknowledged.set(timeline, { from, to: Math.min(to, end), ofPairTo: Math.min(ofPairTo, end) });
    }
    this.seen.epochs.primary = 0;
    this.isPrimaryNew = true;
    primary.loseMachine();
  }

  /** The operator's order to put the new primary in the place of the lost one. */
  orderReplacement(failoverType: FailoverType): void {
    const pairId = `pair-${++this.pairs}`;
    const order = { pairId, failoverType, replacesPrimary: true, confirmed: true };
    this.primary.tell({ type: 'operator-register', operationId: `replacement-${this.pairs}`, ...order });
  }

  /** The primary was lost with its machine, or has given a replacement up: the secondary waits for another one. */
  get waitsForPrimary(): boolean {
    const { record } = this.primary;
    const { pairId } = this.secondary.record;
    return record.state === 'ha-not-configured' && pairId !== null && !record.dissolved.includes(pairId);
  }

  /** A server has lost its record: when the pair does not come on its way by itself, it waits for its operator. */
  get waitsForWord(): boolean {
    return this.servers.some(({ record }) => record.doubt !== null);
  }

  /** Lets time pass. */
  async run(seconds: number): Promise<void> {
    await this.pass(this.clock.nowMs + seconds * 1000, () => false);
  }

  /** Lets time pass until the condition holds; a broken law when it does not within the limit. */
  async until(condition: () => boolean, seconds: number): Promise<void> {
    if (condition()) return;
    await this.pass(this.clock.nowMs + seconds * 1000, condition);
    if (!condition()) throw new BrokenLaw(`not reached within ${seconds} s; the states are ${this.states}`);
  }

  /** One server serves and the other follows it. */
  get isProtected(): boolean {
    const { states } = this;
    return (
      (states === 'primary-active / secondary-syncing' || states === 'primary-syncing / secondary-active') &&
      this.primary.streaming
    );
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

  /** Acknowledged writes that are not on both servers. */
  get notOnBoth(): number {
    return this.acknowledgedBut((timeline) =>
      Math.min(...this.servers.map(({ database }) => reachOn(database.wal, timeline) ?? 0)),
    );
  }

  /** Acknowledged writes that the server's database does not have. */
  missingOn({ database }: SimulatedServer): number {
    return this.acknowledgedBut((timeline) => reachOn(database.wal, timeline) ?? 0);
  }

  /** Planned work, ordered on that server: the one that might take over hears of it first. */
  async maintenance(server: SimulatedServer, minutes: number): Promise<void> {
    const { nowMs } = this.clock;
    const order = { type: 'operator-maintenance', minutes, reason: 'planned', unixMs: nowMs } as const;
    const end = { type: 'operator-maintenance-end' } as const;
    const { life } = server;
    if (life === null) return;
    const way = { from: server, to: server.other, channel: 'pair-link', asking: life } as const;
    /** Null: it may have heard of it. */
    const tellOther = () =>
      this.network.request(way, 3000, async () => (await server.other.feed(order)).refusal === null).catch(() => null);
    const { maintenance } = server.record;
    if (maintenance !== null && maintenance.untilUnixMs > nowMs + minutes * 60_000) return;
    if (server.record.opened) {
      if (await tellOther()) await server.feed(order);
      return;
    }
    if ((await server.feed(order)).refusal !== null) return;
    if ((await tellOther()) === false && this.variant.witness === 'nats' && maintenance === null)
      await server.feed(end);
  }

  /** Acknowledged writes behind what is kept of their timeline. */
  private acknowledgedBut(keptOf: (timeline: number) => number): number {
    let count = 0;
    for (const [timeline, { from, to }] of this.acknowledged)
      count += to - Math.min(to, Math.max(from, keptOf(timeline)));
    return count;
  }

  private async pass(untilMs: number, isEnough: () => boolean): Promise<void> {
    let broken: string | null = null;
    await this.clock.pass(untilMs, () => {
      this.isPrimaryNew &&= this.primary.record.state.startsWith('ha-');
      broken = brokenLawOf(this);
      return broken !== null || isEnough();
    });
    if (broken !== null) throw new BrokenLaw(broken);
  }

  /** The client writes to whoever serves, and the stream brings it to the other server. */
  private nextWrites(): void {
    for (const server of this.servers) {
      const { database, other } = server;
      if (server.serving && !server.isDiskStuck && !server.isDiskFull) database.write();
      if (!this.adversity.stalled && database.mode === 'read-write' && other.source() === database)
        other.database.receive(database);
    }
    this.clock.at(this.clock.nowMs + WRITE_MS, () => this.nextWrites(), true);
  }

  private acknowledge({ timeline, from, to }: Write, isOfPair: boolean): void {
    const known = this.acknowledged.get(timeline) ?? { from, to, ofPairTo: from };
    known.to = Math.max(known.to, to);
    if (isOfPair) known.ofPairTo = Math.max(known.ofPairTo, to);
    this.acknowledged.set(timeline, known);
  }

  private acknowledgedMissing({ database, other }: SimulatedServer): number {
    if (this.isPrimaryNew) return 0; // it has data of its own
    let count = 0;
    for (const [timeline, { from, ofPairTo }] of this.acknowledged) {
      const there = Math.min(ofPairTo, reachOn(other.database.wal, timeline) ?? from);
      count += Math.max(0, there - Math.max(from, reachOn(database.wal, timeline) ?? from));
    }
    return count;
  }

  private surroundings(): Surroundings {
    const pair = this;
    const { clock, random, network } = this;
    return {
      clock,
      random,
      network,
      get adversity() {
        return pair.adversity;
      },
      beatMs: this.variant.beatMs,
      renewMs: this.lease.renewMs,
      other: (server) => (server === this.primary ? this.secondary : this.primary),
      courseOf: (kind) => {
        const course = courseOf(kind, this.adversity, random);
        if (course.ms >= HANG_MS) this.hungAtMs = clock.nowMs;
        return course;
      },
      isPositionUnknown: () => random.chance(this.adversity.blindProbability),
      witness: (from) => (this.witnessReach.has(from) ? this.witness : null),
      seesWitness: (from) => this.witnessReach.has(from),
      witnessMessageMs: () =>
        random.chance(this.adversity.lossProbability) ? null : random.below(Math.min(this.adversity.messageMs, 50)),
      newTimeline: () => ++this.timelines,
      acknowledge: (write, isOfPair) => this.acknowledge(write, isOfPair),
      acknowledgedMissing: (server) => this.acknowledgedMissing(server),
      decided: (server, decision, cause) => this.decided(server, decision, cause),
    };
  }

  private decided(server: SimulatedServer, decision: Decision, cause: HaEvent): void {
    this.isLossAccepted ||= acceptsLoss(decision, cause);
    this.tally.decided(decision);
    this.limitDecisions(server, decision);
    if (decision.rule !== null || decision.refusal !== null) this.trace.decided(server, decision, cause);
  }

  /** Time goes on only when nothing more happens: two servers that answer each other for ever would keep it from doing so. */
  private limitDecisions(server: SimulatedServer, { rule }: Decision): void {
    const { nowMs } = this.clock;
    if (this.moment.atMs !== nowMs) this.moment = { atMs: nowMs, decisions: 0 };
    this.moment.decisions += 1;
    if (this.moment.decisions > DECISIONS_IN_A_MOMENT)
      throw new Error(
        `${this.moment.decisions} decisions in no time, the last by ${rule?.id ?? 'no rule'} in ${server.record.state}`,
      );
  }
}

function acceptsLoss({ rule }: Decision, cause: HaEvent): boolean {
  if (rule === null) return false;
  const isForced = cause.type === 'operator-failback' && cause.force;
  const isReplacement = cause.type === 'operator-register' && cause.replacesPrimary === true;
  return (
    isForced || isReplacement || cause.type === 'operator-remove' || ('acceptDataLoss' in cause && cause.acceptDataLoss)
  );
}

function witnessSettings(kind: PairVariant['witness'], { leaseMs, fenceMs }: WitnessTiming): WitnessSettings | null {
  if (kind === 'none') return null;
  return kind === 'gateway' ? { kind } : { kind, leaseMs, fenceMs };
}
