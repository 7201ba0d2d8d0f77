import { Command, InvalidArgumentError, Option } from 'commander';

/** What can be measured, in this order: the tree of small files serves the first two, the large file the next two. */
export const BENCH_KINDS = ['first', 'unchanged', 'large', 'block', 'realtime', 'memory'] as const;
export type BenchKind = (typeof BENCH_KINDS)[number];

/** What the benchmark was asked for. */
export interface BenchOptions {
  readonly kinds: readonly BenchKind[];
  /** Files of 4 KiB. */
  readonly files: number;
  /** Size of the large file, in MiB. */
  readonly largeMib: number;
  /** How long 100 changes are made each second. */
  readonly seconds: number;
  /** Files that are there while the memory is measured. */
  readonly tracked: number;
  /** Where the trees are made; several times their size has to be free. */
  readonly directory: string;
}

/** Reads the command line. Throws a CommanderError after it has said what is wrong, or after the help. */
export function readBenchOptions(words: readonly string[], write: (text: string) => void): BenchOptions {
  const command = new Command('npm run bench:files --')
    .description('Measures how files are synchronised, against "rsync -a" from its daemon: same tree, same machine.')
    .addOption(
      new Option('--kinds <kind,...>', `what is measured: ${BENCH_KINDS.join(', ')}`)
        .argParser(kinds)
        .default(BENCH_KINDS, 'all'),
    )
    .option('--files <n>', 'files of 4 KiB (the target: 100000)', whole, 20_000)
    .option('--large-mib <n>', 'size of the large file in MiB (the target: 5000)', whole, 1000)
    .option('--seconds <n>', 'how long 100 changes are made each second', whole, 20)
    .option('--tracked <n>', 'files that are there while the memory is measured (the target: 1000000)', whole, 200_000)
    .option('--directory <path>', 'where the trees are made', '/var/tmp')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: write });
  command.parse(words, { from: 'user' });
  return command.opts<BenchOptions>();
}

function kinds(text: string): readonly BenchKind[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !BENCH_KINDS.some((kind) => kind === name));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no ${unknown.join(', ')}.`);
  return BENCH_KINDS.filter((kind) => names.includes(kind));
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number from 1 to 9999999.');
  return Number(text);
}
