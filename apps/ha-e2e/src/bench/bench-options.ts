import { Command, InvalidArgumentError, Option } from 'commander';
import type { Layout } from '../real-pair/understudy-server.ts';
import { BENCH_KINDS, type BenchKind } from './measured-run.ts';

/** What the benchmark was asked for. */
export interface BenchOptions {
  readonly kinds: readonly BenchKind[];
  /** So many runs of each kind. */
  readonly runs: number;
  readonly layout: Layout;
  /** How long the processor of an idle server is watched. */
  readonly idleSeconds: number;
  /** Traces are sent to a receiver beside the pair. */
  readonly telemetry?: boolean;
  /** Where the report goes as JSON. */
  readonly json?: string;
}

/** Reads the command line. Throws a CommanderError after it has said what is wrong, or after the help. */
export function readBenchOptions(words: readonly string[], write: (text: string) => void): BenchOptions {
  const command = new Command('npm run bench:failover --')
    .description(
      'Measures how long a client cannot write, and what it loses, when a real pair fails or switches. Needs root.',
    )
    .addOption(
      new Option('--kinds <kind,...>', `what is measured: ${BENCH_KINDS.join(', ')}`)
        .argParser(kinds)
        .default(BENCH_KINDS, 'all'),
    )
    .option('--runs <n>', 'runs of each kind', whole, 5)
    .addOption(
      new Option('--layout <layout>', 'how the services run').choices(['separate', 'composed']).default('separate'),
    )
    .option('--idle-seconds <n>', 'how long the processor of an idle server is watched', whole, 60)
    .option('--telemetry', 'with traces, sent to a receiver beside the pair')
    .option('--json <file>', 'the report as JSON, besides Markdown on stdout')
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
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number from 1 to 999999.');
  return Number(text);
}
