import { parseArgs } from 'node:util';
import type { Layout } from '../real-pair/understudy-server.ts';
import { type FaultKind, faultKindsFor } from './fault-kinds.ts';

/** What a chaos run is told on its command line. */
export interface ChaosSettings {
  readonly minutes: number;
  readonly seed: number;
  readonly hasWitness: boolean;
  readonly layout: Layout;
  readonly kinds: readonly FaultKind[];
  /** How long a pair may need to come to rest after a fault. */
  readonly restLimitMs: number;
  readonly reportFile: string | null;
  readonly jsonFile: string | null;
  /** Where the logs of both servers go at each violation. */
  readonly evidenceDirectory: string | null;
  /** Print the schedule and do nothing. */
  readonly onlySchedule: boolean;
}

/** A wrong command line: what is wrong, and what would be right. */
export class UsageError extends Error {}

/** The help text. */
export const HELP = `usage: npm run chaos -- [options]
Real faults on a real pair of servers with a writing client, and a checker. Needs root and Linux network namespaces.

  --minutes M            how long faults go on; 10 unless told
  --seed N               the schedule, an integer; a random one unless told. The same seed gives the same schedule
  --witness nats|none    with a witness on a third host, or without; nats unless told
  --layout LAYOUT        separate (each service a process) or composed; separate unless told
  --only KIND[,KIND...]  these kinds of faults only, e.g. "kill postgres,cut the link"
  --rest-seconds S       how long the pair may need to come to rest after a fault; 90 unless told
  --report FILE          the report as Markdown, besides stdout
  --json FILE            the report as JSON
  --evidence DIRECTORY   where the logs of both servers go at each violation
  --schedule             print the schedule of that seed and do nothing
  --help                 this text

Exit code: 0 no violation, 1 violations (the report names them), 2 wrong usage or machine, 130 interrupted without a violation.
`;

const OPTIONS = {
  minutes: { type: 'string', default: '10' },
  seed: { type: 'string' },
  witness: { type: 'string', default: 'nats' },
  layout: { type: 'string', default: 'separate' },
  only: { type: 'string' },
  'rest-seconds': { type: 'string', default: '90' },
  report: { type: 'string' },
  json: { type: 'string' },
  evidence: { type: 'string' },
  schedule: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Reads the command line; null when help is wanted. @throws UsageError */
export function readSettings(words: readonly string[]): ChaosSettings | null {
  const values = valuesOf(words);
  if (values.help) return null;
  const { layout, witness } = values;
  if (layout !== 'separate' && layout !== 'composed')
    throw new UsageError(`--layout ${layout}: there are separate and composed`);
  if (witness !== 'nats' && witness !== 'none') throw new UsageError(`--witness ${witness}: there are nats and none`);
  const hasWitness = witness === 'nats';
  return {
    minutes: numberOf('minutes', values.minutes, 0.1, 24 * 60),
    seed: values.seed === undefined ? Math.floor(Math.random() * 100_000) : seedOf(values.seed),
    hasWitness,
    layout,
    kinds: chosen(values.only, faultKindsFor({ layout, hasWitness })),
    restLimitMs: numberOf('rest-seconds', values['rest-seconds'], 10, 3600) * 1000,
    reportFile: values.report ?? null,
    jsonFile: values.json ?? null,
    evidenceDirectory: values.evidence ?? null,
    onlySchedule: values.schedule,
  };
}

function valuesOf(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS }).values;
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new UsageError(`${message}; --help lists the options`);
  }
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${name} ${text}: give a number from ${least} to ${most}`);
}

function seedOf(text: string): number {
  const seed = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(seed)) throw new UsageError(`--seed ${text}: give an integer from 0 to 999999999`);
  return seed;
}

function chosen(only: string | undefined, kinds: readonly FaultKind[]): readonly FaultKind[] {
  if (only === undefined) return kinds;
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !kinds.some((kind) => kind.name === name));
  if (unknown.length > 0) {
    const known = kinds.map(({ name }) => name).join(', ');
    throw new UsageError(`--only ${unknown.join(', ')}: no such kind with these settings; there are ${known}`);
  }
  return kinds.filter(({ name }) => names.includes(name));
}
