import type { FailoverType } from '@understudy/ha-core';
import { CALM, randomAdversity } from './adversity.ts';
import { lostAlthoughConfirmed, lostWithoutTrace, servesInNameOnly } from './laws.ts';
import { PLANTED_FAULTS } from './planted-faults.ts';
import type { SeededRandom } from './seeded-random.ts';
import { CHANNELS } from './simulated-network.ts';
import { BrokenLaw, type PairVariant, SimulatedPair } from './simulated-pair.ts';
import type { SimulatedServer } from './simulated-server.ts';

export interface RunOptions {
  /** The trace shall have all of it. */
  readonly keepsTrace?: boolean | undefined;
  /** Name of a planted fault. */
  readonly plant?: string | undefined;
}

/** How a run went. */
export interface RunOutcome {
  readonly seed: number;
  readonly pair: SimulatedPair;
  /** How a law was broken, or null. */
  readonly broken: string | null;
}

/** What the seed has chosen once for the whole run. */
interface Plot {
  readonly failoverType: FailoverType;
  /** Longest pauses between two faults or orders, in seconds. */
  readonly pauses: readonly number[];
  readonly rounds: number;
}

/** A fault, an order, or the end of one, at one of the servers. */
type Deed = (scene: { pair: SimulatedPair; server: SimulatedServer; plot: Plot; operationId: string }) => void;

const HASTE = [0.1, 0.3, 1, 4, 12, 40];
const LEISURE = [0.3, 4, 40, 300, 1200, 3600];
/** The pair has to settle within that time after everything was healed, in seconds: it contains a full copy that failed before. */
const SETTLE_LIMIT = 480;
/** What hung when the faults ended hangs for two minutes. */
const REST_LIMIT = 200;
/** What is tried again every few seconds is tried once more. */
const REST = 12;
/** How often an operator decides for a pair one of whose servers has lost its record. */
const WORDS = 10;
/** Until a primary knows that nobody answers, and how often it is ordered to remove HA. */
const REMOVAL_WAIT = 40;
const REMOVALS = 10;
/** How often a new primary is put in the place of the lost one, and after how many times the secondary is given up that cannot serve. */
const REPLACEMENTS = 20;
const PATIENCE = 10;

const FAULTS: Readonly<Record<string, Deed>> = {
  cut: ({ pair }) => pair.cut(),
  'one-way cut': ({ pair, server }) => pair.cut([server.role]),
  'cut of a channel': ({ pair, server }) =>
    pair.cut(pair.random.pick([[server.role], ['primary', 'secondary']]), [pair.random.pick(CHANNELS)]),
  'link heals': ({ pair }) => pair.heal(),
  'power lost': ({ server }) => server.crash(),
  'power back': ({ server }) => server.boot(),
  'manager ends': ({ server }) => server.restartManager(),
  'manager and application end': ({ server }) => {
    server.restartManager();
    server.processesRunning = false;
  },
  'manager stands still': ({ server }) => server.freezeManager(),
  'machine stands still': ({ server }) => server.freeze(),
  'goes on': ({ server }) => server.thaw(),
  'process fails': ({ server }) => {
    if (server.serving) server.tell({ type: 'process-failed', process: 'p' });
  },
  'process recovers': ({ server }) => server.tell({ type: 'process-recovered' }),
  'process cannot be killed': ({ server }) => {
    server.unkillable = server.up;
  },
  'application does not start': ({ server }) => {
    server.broken = true;
  },
  'application dies': ({ server }) => {
    server.processesRunning = false;
  },
  'PostgreSQL dies': ({ server }) => server.database.die(),
  'PostgreSQL does not start': ({ server }) => {
    server.database.isUnstartable = true;
    server.database.die();
  },
  'disk stuck': ({ server }) => {
    server.isDiskStuck = server.up;
  },
  'disk full': ({ server }) => server.fillDisk(),
  'journal fails': ({ server }) => {
    server.journalFails = true;
  },
  'journal lost': ({ pair, server }) => loseRecord(pair, server, 'journal'),
  'journal and store lost': ({ pair, server }) => loseRecord(pair, server, 'both'),
  'older record restored': ({ pair, server }) => loseRecord(pair, server, 'restored'),
  mended: ({ server }) => mend(server),
  'late request': ({ pair, server }) => {
    const request = server.received.length === 0 ? undefined : pair.random.pick(server.received);
    if (request !== undefined) server.tell(request);
  },
  'machine of the primary is lost': ({ pair }) => {
    if (pair.random.chance(0.3)) pair.loseMachineOfPrimary();
  },
  'witness unreachable': ({ pair, server }) => void pair.witnessReach.delete(server),
  'witness reachable': ({ pair, server }) => void pair.witnessReach.add(server),
  'witness forgets': ({ pair }) => {
    if (pair.witness !== null && pair.random.chance(0.4)) pair.witness.forget();
  },
};

const ORDERS: Readonly<Record<string, Deed>> = {
  register: ({ pair, plot }) => pair.orderRegistration(plot.failoverType),
  'forced failover': ({ pair, operationId }) => pair.secondary.tell({ type: 'operator-forced-failover', operationId }),
  failback: ({ pair, operationId }) =>
    pair.secondary.tell({
      type: 'operator-failback',
      operationId,
      force: pair.random.chance(0.3),
      acceptDataLoss: pair.random.chance(0.5),
    }),
  failover: ({ pair, operationId }) =>
    pair.secondary.tell({ type: 'operator-failover', operationId, acceptDataLoss: pair.random.chance(0.5) }),
  'activate alone': ({ pair, operationId }) =>
    pair.primary.tell({ type: 'operator-activate-alone', operationId, acceptDataLoss: pair.random.chance(0.5) }),
  remove: ({ pair, server, operationId }) => {
    if (!pair.random.chance(0.4)) return;
    const { random } = pair;
    server.tell({
      type: 'operator-remove',
      operationId,
      confirmed: random.chance(0.7),
      acceptDataLoss: random.chance(0.5),
    });
  },
  cancel: ({ server }) => server.tell({ type: 'operator-cancel' }),
  maintenance: ({ pair, server }) => void pair.maintenance(server, 1).catch(() => undefined),
  'end of maintenance': ({ server }) => server.tell({ type: 'operator-maintenance-end' }),
  'failover type': ({ pair }) => {
    const failoverType = pair.random.pick(['manual', 'automatic', 'automatic', 'observe'] as const);
    pair.primary.tell({ type: 'operator-failover-type', failoverType });
  },
  'stop a server': ({ server }) => server.shutDown(),
  'replace the primary': ({ pair, plot }) => pair.orderReplacement(plot.failoverType),
  nothing: () => undefined,
};

/** Every fault and order of the random runs, by name. */
export const DEEDS: Readonly<Record<string, Deed>> = { ...FAULTS, ...ORDERS };

/**
 * One run: a pair with faults and orders by the seed, then everything is healed and the pair has to protect its application again, with
 * nothing lost that it had told a client is safe. The laws are looked at after each step.
 */
export async function randomRun(seed: number, { keepsTrace = false, plant }: RunOptions = {}): Promise<RunOutcome> {
  const choice = new Choice(seed);
  const pair = new SimulatedPair(seed, choice.variant);
  pair.trace.isWhole = keepsTrace;
  if (plant !== undefined) PLANTED_FAULTS[plant]?.(pair);
  try {
    const plot = choice.plotFor(pair.random);
    await suffer(pair, plot);
    await heal(pair, plot);
    return { seed, pair, broken: lostWithoutTrace(pair) ?? lostAlthoughConfirmed(pair) ?? servesInNameOnly(pair) };
  } catch (error) {
    if (!(error instanceof BrokenLaw)) throw error;
    return { seed, pair, broken: error.message };
  }
}

/** The choices that follow from the number of the seed itself, so that consecutive seeds go through all of them. */
class Choice {
  readonly variant: PairVariant;

  constructor(private readonly seed: number) {
    this.variant = {
      witness: (['none', 'nats', 'none', 'nats', 'gateway'] as const)[seed % 5] ?? 'none',
      maximumLagWrites: seed % 7 === 0 ? 0 : 20,
      minimumBetweenFailoversMs: seed % 3 === 0 ? 60_000 : 0,
      beatMs: this.isQuiet ? 5000 : 1000,
      replication: Math.floor(seed / 8) % 2 === 0 ? 'async' : 'sync',
    };
  }

  /** Days as they are, with the default times of the product: what happens has come to its end before something else does. */
  private get isQuiet(): boolean {
    return this.seed % 8 === 0;
  }

  plotFor(random: SeededRandom): Plot {
    return {
      failoverType: random.pick(['manual', 'automatic', 'automatic', 'automatic', 'observe']),
      pauses: this.isQuiet ? LEISURE : HASTE,
      rounds: 25,
    };
  }
}

async function suffer(pair: SimulatedPair, plot: Plot): Promise<void> {
  const { random } = pair;
  if (random.chance(0.8)) await pair.register(plot.failoverType);
  for (let round = 0; round < plot.rounds; round++) {
    pair.adversity = randomAdversity(random);
    const server = random.pick(pair.servers);
    const name = random.pick(Object.keys(DEEDS));
    pair.tally.fault(name);
    pair.trace.note(server.role, `*** ${name}`);
    DEEDS[name]?.({ pair, server, plot, operationId: `operation-${round}` });
    await pair.run(random.pick(plot.pauses));
  }
}

async function heal(pair: SimulatedPair, plot: Plot): Promise<void> {
  pair.trace.note('all', '*** everything is healed');
  pair.adversity = CALM;
  pair.heal();
  for (const server of pair.servers) {
    server.thaw();
    mend(server);
    pair.witnessReach.add(server);
    server.boot();
  }
  await pair.run(1); // what was held up while something stood still comes first
  for (const server of pair.servers) server.tell({ type: 'process-recovered' });
  const isRunning = () => {
    for (const server of pair.servers) server.boot(); // one that was being stopped at that moment
    return pair.servers.every(({ awake, stopping }) => awake && !stopping);
  };
  const isSettled = () => pair.isProtected || pair.isUnpaired || pair.waitsForRemoval;
  await pair.until(() => isRunning() && (isSettled() || pair.waitsForPrimary || pair.waitsForWord), SETTLE_LIMIT);
  for (let asked = 0; pair.waitsForWord && asked < WORDS; asked++) await decideForLost(pair, asked);
  await pair.until(() => isRunning() && (isSettled() || pair.waitsForPrimary), SETTLE_LIMIT);
  for (let asked = 0; pair.waitsForPrimary && asked < REPLACEMENTS; asked++) await replacePrimary(pair, plot, asked);
  await pair.until(() => isRunning() && isSettled(), SETTLE_LIMIT);
  // while the other one is still cleaning up it is heard, and the order is refused
  for (let asked = 0; pair.waitsForRemoval && asked < REMOVALS; asked++) {
    await pair.run(REMOVAL_WAIT);
    pair.primary.tell({ type: 'operator-remove', operationId: `end-${asked}`, confirmed: true, acceptDataLoss: true });
    await pair.run(1);
  }
  const isIdle = () => pair.servers.every(({ record }) => record.inFlight === null);
  await pair.until(
    () => isRunning() && isIdle() && (pair.isProtected || (pair.isUnpaired && pair.primary.serving)),
    REST_LIMIT,
  );
  await pair.run(REST);
}

/**
 * What an operator does who finds the primary lost with its machine: has the secondary serve, then replaces the primary. A registration
 * that it has left behind is cancelled. A secondary that
 * cannot serve, because the witness knows that it lacks something, or without a database, is given up.
 */
async function replacePrimary(pair: SimulatedPair, { failoverType }: Plot, asked: number): Promise<void> {
  const { secondary } = pair;
  const operationId = `failover-${asked}`;
  if (secondary.record.state === 'secondary-active') pair.orderReplacement(failoverType);
  else if (secondary.record.state === 'ha-initializing') {
    secondary.tell({ type: 'operator-cancel' });
    pair.acknowledged.clear(); // the copy of a registration that did not come about protects nobody, and goes with it
  } else if (asked < PATIENCE) secondary.tell({ type: 'operator-failover', operationId, acceptDataLoss: true });
  else {
    secondary.tell({ type: 'operator-remove', operationId, confirmed: true, acceptDataLoss: true });
    pair.acknowledged.clear(); // who gives the pair up gives up what it had
  }
  await pair.run(REMOVAL_WAIT);
}

/** What an operator does who finds that a server has lost its record, and that the pair does not come on its way by itself. */
async function decideForLost(pair: SimulatedPair, asked: number): Promise<void> {
  await pair.run(REMOVAL_WAIT);
  if (!pair.waitsForWord) return;
  const order = { operationId: `word-${asked}`, acceptDataLoss: true };
  if (pair.secondary.serving || pair.primary.serving) return;
  pair.primary.tell({ type: 'operator-activate-alone', ...order });
  await pair.run(REMOVAL_WAIT);
  if (pair.waitsForWord && !pair.primary.serving) pair.secondary.tell({ type: 'operator-failover', ...order });
}

/** A server that is in no pair would forget only that it has dissolved one, and its former peer would not be told: a known limit. */
function loseRecord(pair: SimulatedPair, server: SimulatedServer, lost: 'journal' | 'both' | 'restored'): void {
  if (server.isPaired) pair.loseRecord(server, lost);
}

function mend(server: SimulatedServer): void {
  server.unkillable = false;
  server.broken = false;
  server.isDiskFull = false;
  server.journalFails = false;
  server.database.isUnstartable = false;
}
