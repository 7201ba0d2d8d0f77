import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { PLANTED_FAULTS } from './planted-faults.ts';

/** What the command was asked for. */
export interface SimulateOptions {
  /** The first seed. */
  readonly seed: number;
  /** So many seeds; null: until the hours are over. */
  readonly seeds: number | null;
  /** Simulated hours. */
  readonly hours: number;
  /** Processes. */
  readonly jobs: number;
  /** Everything that happens is printed. */
  readonly trace: boolean;
  /** A planted fault, which has to be noticed. */
  readonly plant: string | undefined;
}

/** Reads the command line. Throws a CommanderError after it has said what is wrong, or after the help. */
export function readOptions(args: readonly string[], write: (text: string) => void): SimulateOptions {
  const command = new Command('npm run simulate --')
    .description(
      'Runs simulated pairs with random faults and orders, seed after seed, and checks the laws after every step.',
    )
    .option('--seed <n>', 'the first seed', whole('a whole number from 0, for example --seed 1', 0), 1)
    .option('--hours <h>', 'simulated hours, as many seeds as they take', hours, 1)
    .option('--seeds <n>', 'exactly so many seeds, however long they take', whole('a whole number from 1', 1))
    .option('--jobs <j>', 'processes at work', whole('a whole number from 1', 1), availableParallelism())
    .option('--trace', 'print everything that happens in each run', false)
    .addOption(
      new Option('--plant <name>', 'plant a fault that the laws must notice').choices(Object.keys(PLANTED_FAULTS)),
    )
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: write });
  command.parse(args, { from: 'user' });
  const options = command.opts<SimulateOptions & { seeds?: number }>();
  return { ...options, seeds: options.seeds ?? null, plant: options.plant };
}

function whole(remedy: string, least: number) {
  return (text: string): number => {
    if (!/^\d{1,15}$/.test(text) || Number(text) < least) throw new InvalidArgumentError(`It has to be ${remedy}.`);
    return Number(text);
  };
}

function hours(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text) || Number(text) <= 0)
    throw new InvalidArgumentError('It has to be a number above 0, for example --hours 0.5.');
  return Number(text);
}
