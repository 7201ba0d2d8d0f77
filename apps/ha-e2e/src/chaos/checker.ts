import { type Account } from './accounting.ts';
import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';
import { Bookkeeper, describeWrites } from './bookkeeper.ts';
import type { DoneFault } from './carry-out.ts';
import type { ChaosPair } from './chaos-pair.ts';
import { type ChaosReport, describeWindow, type Violation } from './chaos-report.ts';
import { excuseOf, windowsOf } from './windows.ts';

/** A violation before it is known which group it belongs to. */
export type Finding = Pick<Violation, 'kind' | 'details'>;

/** Checks one pair over its life. What was found once is not found again. */
export class Checker {
  /** The newest account; undefined before the first time of rest. */
  account: Account | undefined;
  private readonly bookkeeper: Bookkeeper;
  private readonly faults: DoneFault[] = [];
  private readonly found = new Map<string, ChaosReport['windows'][number]>();
  private readonly missed = new Set<string>();
  private bothTimes = 0;
  private twoActives = 0;

  constructor(
    private readonly chaos: ChaosPair,
    private readonly hasWitness: boolean,
  ) {
    this.bookkeeper = new Bookkeeper(chaos);
  }

  /** Every window of two writable servers so far. */
  get windows(): ChaosReport['windows'] {
    return [...this.found.values()];
  }

  /** What can be said at any time, after a group of faults. */
  afterFaults(done: readonly DoneFault[]): Finding[] {
    this.faults.push(...done.filter(({ wasDone }) => wasDone));
    return [...this.findWindows(), ...this.findBothApplications(done), ...this.findTwoActives()];
  }

  /** What can be said when the pair is at rest. Rejects when a database does not answer. */
  async atRest(active: ServerName): Promise<Finding[]> {
    const account = await this.bookkeeper.account(active);
    this.account = account;
    return [
      ...this.about(account.unaccounted, 'acknowledged write unaccounted for'),
      ...this.about(account.unnamed, 'set aside without a word'),
      ...this.about(account.missingOnStandby, 'row missing on the standby'),
    ];
  }

  private about(writes: readonly AcknowledgedWrite[], kind: Finding['kind']): Finding[] {
    const fresh = writes.filter(({ run, sequence }) => !this.missed.has(`${kind} ${run} ${sequence}`));
    for (const { run, sequence } of fresh) this.missed.add(`${kind} ${run} ${sequence}`);
    return fresh.length === 0 ? [] : [{ kind, details: describeWrites(fresh) }];
  }

  private findWindows(): Finding[] {
    return windowsOf(this.chaos.writes).flatMap((window): Finding[] => {
      const { older, newer } = window;
      const key = `${older.server} ${older.timeline} ${newer.server} ${newer.timeline}`;
      const known = this.found.get(key);
      const excuse = excuseOf(window, this.faults, this.hasWitness);
      this.found.set(key, { ...window, excuse });
      if (excuse !== null || known?.excuse === null) return [];
      return [{ kind: 'two writable servers', details: describeWindow({ ...window, excuse }) }];
    });
  }

  private findBothApplications(done: readonly DoneFault[]): Finding[] {
    const lines = this.chaos.pair.application.runningOnBoth();
    const fresh = lines.slice(this.bothTimes);
    this.bothTimes = lines.length;
    // One that stands still holds its lock and does nothing; without a witness both serve while they cannot hear each other.
    const isExcused = done.some(({ name }) => name === 'freeze server' || !this.hasWitness);
    if (fresh.length === 0 || isExcused) return [];
    return [{ kind: 'the application ran on both servers', details: fresh.join('; ') }];
  }

  private findTwoActives(): Finding[] {
    const fresh = this.chaos.twoActives.slice(this.twoActives);
    this.twoActives = this.chaos.twoActives.length;
    return fresh.map((details) => ({ kind: 'two actives that hear each other', details }));
  }
}
