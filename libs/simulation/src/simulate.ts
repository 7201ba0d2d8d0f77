import { CommanderError } from 'commander';
import { runSeeds } from './simulate-crew.ts';
import { readOptions, type SimulateOptions } from './simulate-options.ts';
import type { RunReport } from './simulate-run.ts';
import { Tally } from './tally.ts';

const PROGRESS_MS = 10_000;
const EXIT = { kept: 0, broken: 1, usage: 2 } as const;

/** The command: resolves to its exit code, 0 when no law was broken. */
export async function simulate(args: readonly string[], print: (line: string) => void): Promise<number> {
  let options: SimulateOptions;
  try {
    options = readOptions(args, (text) => print(text.trimEnd()));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.kept : EXIT.usage;
  }
  const total = new Total(options);
  let toldAtMs = performance.now();
  await runSeeds(
    { first: options.seed, jobs: options.jobs, options: { keepsTrace: options.trace, plant: options.plant } },
    (seed) => total.goesOn(seed),
    (report) => {
      total.add(report);
      if (report.trace !== null && report.broken === null) print(`seed ${report.seed}\n\n${report.trace}\n`);
      if (performance.now() - toldAtMs < PROGRESS_MS) return;
      toldAtMs = performance.now();
      print(total.progress());
    },
  );
  if (total.broken !== null) print(storyOf(total.broken, options));
  print(total.summary());
  return total.broken === null ? EXIT.kept : EXIT.broken;
}

/** What is to be seen of a broken law, and how it is seen again. */
function storyOf({ seed, broken, trace }: RunReport, { plant }: SimulateOptions): string {
  const again = `npm run simulate -- --seed ${seed} --seeds 1 --trace${plant === undefined ? '' : ` --plant '${plant}'`}`;
  return `seed ${seed} breaks a law: ${broken}\n\n${trace}\n\nthe same again, from its beginning: ${again}\n`;
}

/** What all runs together have come to. */
class Total {
  /** The first run that broke a law. */
  broken: RunReport | null = null;
  private readonly tally = new Tally();
  private readonly startedAtMs = performance.now();
  private seconds = 0;
  private runs = 0;

  constructor(private readonly options: SimulateOptions) {}

  goesOn(seed: number): boolean {
    if (this.broken !== null) return false;
    const { seeds, hours, seed: first } = this.options;
    return seeds === null ? this.hours < hours : seed < first + seeds;
  }

  add(report: RunReport): void {
    this.runs += 1;
    this.seconds += report.seconds;
    this.tally.add(report.counts);
    if (report.broken !== null) this.broken = report;
  }

  progress(): string {
    return `${this.hours.toFixed(1)} simulated hours, ${this.runs} seeds, ${this.rate} simulated hours per second`;
  }

  summary(): string {
    const { faults, takeovers, refusals, decisions, laws } = this.tally;
    const names = Object.keys(faults).sort();
    const sum = names.reduce((count, name) => count + (faults[name] ?? 0), 0);
    const widest = Math.max(0, ...names.map((name) => name.length));
    return [
      `${this.broken === null ? 'no law broken' : 'A LAW IS BROKEN'} in ${this.runs} seeds from ${this.options.seed} on`,
      `${this.hours.toFixed(1)} simulated hours in ${this.wallSeconds.toFixed(0)} s (${this.rate} per second)`,
      `${sum} faults and orders, ${(sum / Math.max(this.hours, 0.001)).toFixed(1)} in a simulated hour`,
      `${takeovers} times the active role was taken, ${refusals} orders and requests refused, ${decisions} decisions, ${laws} looks at a law`,
      ...names.map((name) => `  ${name.padEnd(widest)}  ${faults[name]}`),
    ].join('\n');
  }

  private get hours(): number {
    return this.seconds / 3600;
  }

  private get wallSeconds(): number {
    return (performance.now() - this.startedAtMs) / 1000;
  }

  private get rate(): string {
    return (this.hours / Math.max(this.wallSeconds, 0.001)).toFixed(2);
  }
}
