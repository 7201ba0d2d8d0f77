import { loadavg } from 'node:os';
import { join } from 'node:path';
import { describeMachine, partVersions } from '../bench/report.ts';
import { monotonicMs } from '../real-pair/deadline.ts';
import { TEST_TIMES } from '../real-pair/real-pair.ts';
import { accountOf } from '../scenarios/account.ts';
import { longestOutageMs, type ServerName } from './acknowledged-write.ts';
import { carryOut, type DoneFault, pauseUnlessAborted } from './carry-out.ts';
import { ChaosPair } from './chaos-pair.ts';
import type { ChaosReport, GroupRecord, OperatorAction, Violation } from './chaos-report.ts';
import { Checker, type Finding } from './checker.ts';
import { NOT_TRIED } from './fault-kinds.ts';
import { Operator } from './operator.ts';
import { describeGroup, type FaultGroup, faultGroups } from './schedule.ts';
import type { ChaosSettings } from './settings.ts';

const NO_ROWS: ChaosReport['rows'] = {
  acknowledged: 0,
  present: 0,
  setAside: 0,
  unaccounted: 0,
  notChecked: 0,
  unknown: 0,
};

/** A run over one pair after another: the next one is built when one has come to a dead end. */
export class ChaosRun {
  private readonly beginMs = monotonicMs();
  private readonly at = new Date().toISOString();
  private readonly loadAtBegin = loadavg()[0] ?? 0;
  private readonly groups: GroupRecord[] = [];
  private readonly violations: Violation[] = [];
  private readonly operatorActions: OperatorAction[] = [];
  private windows: ChaosReport['windows'] = [];
  private rows = NO_ROWS;
  private takeovers = 0;
  private pairsBuilt = 0;
  /** Number of the group that was begun last. */
  private group = 0;
  private runnerRestarts = 0;

  constructor(
    private readonly settings: ChaosSettings,
    private readonly signal: AbortSignal,
    private readonly progress: (text: string) => void,
  ) {}

  /** Runs until the time is over, or `signal` is aborted. Leaves nothing behind. */
  async run(): Promise<void> {
    const schedule = faultGroups(this.settings.seed, this.settings.kinds);
    let endMs = Number.POSITIVE_INFINITY;
    while (!this.signal.aborted && monotonicMs() < endMs) {
      const chaos = await this.build();
      if (!chaos) return;
      // the time that the first pair takes to be built is not one of faults
      if (this.pairsBuilt === 1) endMs = monotonicMs() + this.settings.minutes * 60_000;
      try {
        await this.breakOnePair(chaos, schedule, endMs);
      } finally {
        chaos.destroy();
      }
    }
  }

  /** What is known so far. */
  report(): ChaosReport {
    const { seed, layout, hasWitness, restLimitMs, minutes } = this.settings;
    const { intervalSeconds, missedLimit, graceSeconds, probeTimeoutSeconds } = TEST_TIMES;
    return {
      at: this.at,
      machine: describeMachine(),
      versions: partVersions(),
      settings: {
        seed: String(seed),
        minutes: String(minutes),
        layout,
        witness: hasWitness ? 'nats, lease 3 s' : 'none',
        failover: 'automatic',
        replication: 'async',
        detection: `${intervalSeconds} s x ${missedLimit}, ${graceSeconds} s wait, ${probeTimeoutSeconds} s probe`,
        'rest within': `${restLimitMs / 1000} s`,
      },
      isInterrupted: this.signal.aborted,
      minutes: (monotonicMs() - this.beginMs) / 60_000,
      groups: this.groups,
      takeovers: this.takeovers,
      pairsBuilt: this.pairsBuilt,
      runnerRestarts: this.runnerRestarts,
      windows: this.windows,
      rows: this.rows,
      operatorActions: this.operatorActions,
      violations: this.violations,
      loadAverage: {
        begin: this.loadAtBegin,
        highest: Math.max(this.loadAtBegin, ...this.groups.map(({ load }) => load)),
        end: loadavg()[0] ?? 0,
      },
      notTried: NOT_TRIED,
    };
  }

  private async build(): Promise<ChaosPair | undefined> {
    this.progress('building a pair');
    try {
      const chaos = await ChaosPair.build(this.settings);
      this.pairsBuilt += 1;
      return chaos;
    } catch (error) {
      if (this.signal.aborted) return undefined;
      this.violations.push({
        kind: 'the pair could not be built',
        group: this.group,
        details: error instanceof Error ? error.message : String(error),
        account: '',
      });
      return undefined;
    }
  }

  /** Group after group until the time is over or the pair does not come to rest. */
  private async breakOnePair(chaos: ChaosPair, schedule: Generator<FaultGroup, never>, endMs: number): Promise<void> {
    const checker = new Checker(chaos, this.settings.hasWitness);
    const operator = new Operator(chaos, this.settings.restLimitMs, this.signal);
    const settle = () => operator.bringToRest((action) => this.operatorActions.push({ group: this.group, ...action }));
    let rest = await settle();
    while ('active' in rest && !this.signal.aborted && monotonicMs() < endMs) {
      const group = schedule.next().value;
      if (group.givesRoleBack && rest.active === 'beta') {
        this.progress(`failback: ${await operator.failback()}`);
        rest = await settle();
        if (!('active' in rest)) break;
      }
      await pauseUnlessAborted(group.calmMs, this.signal);
      rest = await this.breakOnce(chaos, group, rest.active, { checker, settle });
    }
    if ('reason' in rest && !this.signal.aborted)
      await this.violated(chaos, [{ kind: 'dead end', details: `Not at rest: ${rest.reason}` }]);
    await chaos.stop();
    // once more, with the last rows
    if ('active' in rest && !this.signal.aborted)
      await this.violated(chaos, await this.accountAtRest(checker, rest.active));
    this.close(chaos, checker);
  }

  private async breakOnce(
    chaos: ChaosPair,
    group: FaultGroup,
    activeBefore: ServerName,
    { checker, settle }: { readonly checker: Checker; readonly settle: () => ReturnType<Operator['bringToRest']> },
  ) {
    this.group += 1;
    const number = this.group;
    for (const server of chaos.pair.servers) {
      await server.refreshHistory().catch(() => {});
      server.history.mark();
    }
    this.progress(`${number}. ${describeGroup(group)}; ${activeBefore} is active`);
    const beginMs = monotonicMs();
    const at = new Date().toISOString();
    const done = await carryOut(group, activeBefore, chaos, this.signal);
    const mendedMs = Math.max(...done.map(({ endMs }) => endMs));
    const load = loadavg()[0] ?? 0;
    const rest = await settle();
    const isAtRest = 'active' in rest;
    const outageMs = longestOutageMs(chaos.client.writes, beginMs, isAtRest ? rest.sinceMs : monotonicMs());
    const restMs = isAtRest ? Math.max(0, rest.sinceMs - mendedMs) : null;
    this.groups.push({
      number,
      planned: describeGroup(group),
      at,
      beginMs: beginMs - this.beginMs,
      faults: done.map((fault) => this.recordOf(fault)),
      activeBefore,
      activeAfter: isAtRest ? rest.active : '',
      outageMs,
      restMs,
      load,
    });
    this.progress(
      `${number}. ${isAtRest ? `${rest.active} is active, at rest after ${((restMs ?? 0) / 1000).toFixed(1)} s, outage ${(outageMs / 1000).toFixed(1)} s` : `not at rest: ${rest.reason}`}`,
    );
    await this.violated(chaos, checker.afterFaults(done));
    if (isAtRest && !this.signal.aborted) await this.violated(chaos, await this.accountAtRest(checker, rest.active));
    return rest;
  }

  private async accountAtRest(checker: Checker, active: ServerName): Promise<Finding[]> {
    try {
      return await checker.atRest(active);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return [{ kind: 'dead end', details: `At rest, but a database does not answer: ${reason}` }];
    }
  }

  private recordOf({ name, server, beginMs, endMs, note, wasDone }: DoneFault): GroupRecord['faults'][number] {
    const times = { beginMs: beginMs - this.beginMs, endMs: endMs - this.beginMs };
    return { kind: name, target: server ?? '', ...times, note, wasDone };
  }

  private async violated(chaos: ChaosPair, findings: readonly Finding[]): Promise<void> {
    if (findings.length === 0) return;
    const account = await accountOf(chaos.pair.servers);
    for (const finding of findings) {
      this.violations.push({ ...finding, group: this.group, account });
      this.progress(`VIOLATION: ${finding.kind}: ${finding.details}`);
    }
    const { evidenceDirectory } = this.settings;
    if (evidenceDirectory) chaos.keepLogs(join(evidenceDirectory, `group-${this.group}`));
  }

  /** Adds what one pair came to. */
  private close(chaos: ChaosPair, { account, windows }: Checker): void {
    const { writes, unknown } = chaos;
    this.windows = [...this.windows, ...windows];
    this.runnerRestarts += chaos.init.restarts;
    this.takeovers += changesOfServer(chaos);
    this.rows = {
      acknowledged: this.rows.acknowledged + writes.length,
      present: this.rows.present + (account?.present ?? 0),
      setAside: this.rows.setAside + (account?.setAside ?? 0),
      unaccounted: this.rows.unaccounted + (account?.unaccounted.length ?? 0) + (account?.unnamed.length ?? 0),
      notChecked: this.rows.notChecked + writes.length - (account?.acknowledged ?? 0),
      unknown: this.rows.unknown + unknown,
    };
  }
}

/** How often the server that is written to changed, in the order of the timelines. */
function changesOfServer({ writes }: ChaosPair): number {
  const serverOf = new Map(writes.map(({ timeline, server }) => [timeline, server]));
  const servers = [...serverOf].toSorted(([a], [b]) => a - b).map(([, server]) => server);
  return servers.filter((server, index) => index > 0 && server !== servers[index - 1]).length;
}
