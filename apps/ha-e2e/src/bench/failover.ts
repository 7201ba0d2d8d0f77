/**
 * How long a client cannot write, and what it loses: `npm run bench:failover`, see `--help`.
 * Two real servers and a client in network namespaces; root is needed.
 * Markdown goes to stdout, progress to stderr.
 */
import { writeFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { pause } from '../real-pair/deadline.ts';
import { namespacesAreAvailable } from '../real-pair/namespaces.ts';
import type { HeartbeatTimes } from '../real-pair/node-configuration.ts';
import { RealPair } from '../real-pair/real-pair.ts';
import { SpanReceiver, TELEMETRY_SECTION } from '../real-pair/span-receiver.ts';
import type { Layout } from '../real-pair/understudy-server.ts';
import { WITNESS_SECTION, Witness } from '../real-pair/witness.ts';
import { accountOf } from '../scenarios/account.ts';
import { type BenchOptions, readBenchOptions } from './bench-options.ts';
import { backToNormal, measure } from './faults.ts';
import { footprintsOf } from './footprint.ts';
import { type BenchKind, type Footprint, type MeasuredRun } from './measured-run.ts';
import { type BenchReport, describeMachine, partVersions, toMarkdown } from './report.ts';

const TIGHT_TIMES: HeartbeatTimes = { intervalSeconds: 1, missedLimit: 3, graceSeconds: 2, probeTimeoutSeconds: 1 };
const DEFAULT_TIMES: HeartbeatTimes = { intervalSeconds: 5, missedLimit: 3, graceSeconds: 10, probeTimeoutSeconds: 5 };
/** As quick as it can safely be: with the shortest lease that `config check` allows for these beats. */
const QUICK_TIMES: HeartbeatTimes = {
  intervalSeconds: 0.25,
  missedLimit: 3,
  graceSeconds: 0,
  probeTimeoutSeconds: 0.25,
};
const QUICK_WITNESS = { ...WITNESS_SECTION, leaseSeconds: 1 };
const SETTLE_MS = 15_000;
/** A PostgreSQL that dies three times within a minute counts as one that cannot be kept running, and is failed over from. */
const BETWEEN_KILLS_MS = 30_000;

const { kinds, runs: runsWanted, layout, idleSeconds, telemetry, json } = optionsOrExit();
const runs: MeasuredRun[] = [];
const footprints: Footprint[] = [];
let pair: RealPair | undefined;

function optionsOrExit(): BenchOptions {
  try {
    return readBenchOptions(process.argv.slice(2), (text) => process.stderr.write(text));
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    throw error;
  }
}

function fail(message: string): never {
  process.stderr.write(`bench:failover: ${message}\n`);
  process.exit(2);
}

function progress(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

async function build(times: HeartbeatTimes, wanted: Layout): Promise<RealPair> {
  pair?.destroy();
  const sections = {
    ...(times === QUICK_TIMES ? { witness: QUICK_WITNESS } : {}),
    ...(telemetry ? { telemetry: TELEMETRY_SECTION } : {}),
  };
  pair = new RealPair({ layout: wanted, heartbeat: times, application: false, sections });
  if (times === QUICK_TIMES) await new Witness(pair.stage.n3).start();
  if (telemetry) await new SpanReceiver(pair.stage.n3).start();
  await pair.start('automatic');
  await backToNormal(pair);
  progress(`pair is up (${wanted}, ${JSON.stringify(times)})`);
  return pair;
}

/** Measures the kinds on pairs with these times; a failed run is told, and the pair built anew. */
async function measureAll(wanted: readonly Exclude<BenchKind, 'idle'>[], times: HeartbeatTimes): Promise<void> {
  if (wanted.length === 0) return;
  let current = await build(times, layout);
  for (const kind of wanted) {
    for (let run = 1; run <= runsWanted; run++) {
      try {
        if (kind === 'failback') {
          await current.secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 });
          await current.inSyncSwapped({ withinMs: 60_000 });
        }
        const measured = await measure(current, kind);
        runs.push(measured);
        progress(`${kind} ${run}/${runsWanted}: ${JSON.stringify(measured)}`);
        await backToNormal(current);
        if (kind === 'postgres-killed' && run < runsWanted) await pause(BETWEEN_KILLS_MS);
      } catch (error) {
        progress(`${kind} ${run}/${runsWanted} failed: ${error instanceof Error ? error.message : String(error)}`);
        process.stderr.write(`${await accountOf(current.servers)}\n`);
        process.exitCode = 1;
        current = await build(times, layout);
      }
    }
  }
}

async function measureIdle(): Promise<void> {
  for (const wanted of ['composed', 'separate'] as const) {
    const { servers } = await build(DEFAULT_TIMES, wanted);
    await pause(SETTLE_MS);
    footprints.push(...(await footprintsOf(servers, idleSeconds)));
    progress(`idle ${wanted}: ${JSON.stringify(footprints.slice(-2))}`);
  }
}

function timesOf(kind: BenchKind): HeartbeatTimes {
  if (kind.endsWith('-quick')) return QUICK_TIMES;
  return kind === 'host-death-default-timers' ? DEFAULT_TIMES : TIGHT_TIMES;
}

function timesText({ intervalSeconds, missedLimit, graceSeconds, probeTimeoutSeconds }: HeartbeatTimes): string {
  return `${intervalSeconds} s x ${missedLimit}, ${graceSeconds} s wait, ${probeTimeoutSeconds} s probe`;
}

function report(): BenchReport {
  return {
    at: new Date().toISOString(),
    machine: describeMachine(),
    versions: partVersions(),
    settings: {
      layout,
      detection: `${timesText(TIGHT_TIMES)} (default timers: ${timesText(DEFAULT_TIMES)}; quick: ${timesText(QUICK_TIMES)}, a lease of ${QUICK_WITNESS.leaseSeconds} s)`,
      client: 'one new connection every 50 ms, 0.5 s connect timeout, 1 s acknowledgement timeout',
      replication: 'async',
    },
    runs,
    footprints,
  };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    pair?.destroy();
    process.exit(130);
  });
}
if (!namespacesAreAvailable()) fail('needs root, ip and network namespaces');

try {
  const faults = kinds.filter((kind) => kind !== 'idle');
  for (const times of [TIGHT_TIMES, DEFAULT_TIMES, QUICK_TIMES])
    await measureAll(
      faults.filter((kind) => timesOf(kind) === times),
      times,
    );
  if (kinds.includes('idle')) await measureIdle();
} finally {
  pair?.destroy();
  if (json) writeFileSync(json, `${JSON.stringify(report(), null, 2)}\n`);
  process.stdout.write(toMarkdown(report()));
}
