import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import { monotonicMs, pause, until } from '../real-pair/deadline.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import type { Writer } from '../writer/writer.ts';
import type { BenchKind, MeasuredRun } from './measured-run.ts';

const OUTAGE_LIMIT_MS = 150_000;
const REJOIN_LIMIT_MS = 90_000;
const STEADY_MS = 3000;
const DOWN_BEFORE_BOOT_MS = 2000;

/** How long the link stays cut once writes are acknowledged again. */
const CUT_MS = 10_000;
const LONG_CUT_MS = 57_000;
const BUSY_MS = 10 * 60_000;
/** Endless loops beside the pair: with its own processes a load of about this. */
const BUSY_LOOPS = 15;

/** What is done to the pair. Returns how the server that went away comes back, when one does. */
interface Fault {
  /** Injects the fault. */
  strike(): Promise<void> | void;
  /** Brings back what went away, and says since when it was back and that it streams again. */
  comeBack?(): Promise<{ readonly backMs: number }>;
  /** Which server has the data afterwards. */
  readonly survivor: UnderstudyServer;
  /** A client on the cut-off server itself. */
  readonly innerWriter?: Writer;
}

/** Does one thing to a pair in sync with a writing client beside it, and measures. The pair is in sync, maybe swapped, afterwards. */
export async function measure(pair: RealPair, kind: Exclude<BenchKind, 'idle'>): Promise<MeasuredRun> {
  const loadBefore = loadavg()[0] ?? 0;
  const old = kind === 'failback' ? pair.secondary : pair.primary;
  const successor = kind === 'failback' ? pair.primary : pair.secondary;
  const targets = [old, successor].map(({ host }) => `${host.address}:5432`);
  const writer = await pair.startWriter(targets);
  await writer.isWriting({ withinMs: 20_000, forMs: 1000 });
  const fault = await prepare(pair, kind);
  await pause(1000 + Math.random() * 2000); // the phase of the timers is part of what is measured

  const faultMs = monotonicMs();
  await fault.strike();
  await until('writes are acknowledged steadily again', { withinMs: OUTAGE_LIMIT_MS }, () => {
    const nowMs = monotonicMs();
    return nowMs > faultMs + STEADY_MS + 500 && writer.log.isSteady(nowMs, STEADY_MS, 1300);
  });
  const back = await fault.comeBack?.();
  const rejoinMs = back
    ? monotonicMs() - (kind === 'forced-failover' || kind === 'failback' ? faultMs : back.backMs)
    : null;
  const innerLog = fault.innerWriter ? await pair.finish(fault.innerWriter, fault.survivor) : undefined;
  const { log, lost } = await pair.finish(writer, fault.survivor);
  const outage = log.longestOutageSince(faultMs);
  if (!outage) throw new Error(`${kind}: no write was acknowledged after the fault`);
  return {
    kind,
    outageMs: outage.durationMs,
    lostRows: lost.filter((row) => row.atMs <= (back?.backMs ?? Number.POSITIVE_INFINITY)).length,
    lostRowsAfterReturn: lost.filter((row) => back && row.atMs > back.backMs).length,
    unknownRows: log.unknown.length,
    acknowledgedRows: log.acknowledged.length,
    rejoinMs,
    setAsideRows: innerLog ? innerLog.lost.length : null,
    loadBefore,
  };
}

async function prepare(pair: RealPair, kind: Exclude<BenchKind, 'idle'>): Promise<Fault> {
  const { primary, secondary } = pair;
  switch (kind) {
    case 'postgres-killed': {
      const postmaster = primary.postmasterPid();
      return { survivor: primary, strike: () => primary.host.kill(postmaster) };
    }
    case 'forced-failover':
      return {
        survivor: secondary,
        strike: () => secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 }),
        comeBack: () => since(() => pair.inSyncSwapped({ withinMs: REJOIN_LIMIT_MS })),
      };
    case 'failback':
      return {
        survivor: primary,
        strike: () => secondary.perform('/ha/failback', {}, { withinMs: 60_000 }),
        comeBack: () => since(() => pair.inSync({ withinMs: REJOIN_LIMIT_MS })),
      };
    case 'host-death':
    case 'host-death-default-timers':
    case 'host-death-quick':
      return {
        survivor: secondary,
        strike: () => primary.die(),
        comeBack: async () => {
          await pause(DOWN_BEFORE_BOOT_MS);
          primary.host.powerOn();
          return since(async () => {
            primary.boot();
            await pair.streams(secondary, primary, { withinMs: REJOIN_LIMIT_MS });
          });
        },
      };
    case 'busy-quick':
      return {
        survivor: primary,
        strike: async () => {
          const loops = Array.from({ length: BUSY_LOOPS }, () =>
            spawn(process.execPath, ['-e', 'for(;;);'], { stdio: 'ignore' }),
          );
          const { epoch } = (await primary.status()) ?? { epoch: 0 };
          await pause(BUSY_MS);
          for (const loop of loops) loop.kill('SIGKILL');
          const after = (await primary.shows('itself', { withinMs: 30_000 }, () => true)).epoch;
          if (after !== epoch) throw new Error(`the role has moved without a fault: epoch ${epoch}, then ${after}`);
        },
      };
    case 'link-cut':
    case 'link-cut-quick': {
      const innerWriter = await pair.startWriter([`${primary.host.address}:5432`], primary.host);
      return {
        survivor: secondary,
        innerWriter,
        strike: () => primary.host.cutLink(),
        comeBack: async () => {
          await pause(kind === 'link-cut' ? CUT_MS : LONG_CUT_MS);
          primary.host.healLink();
          return since(() => pair.streams(secondary, primary, { withinMs: REJOIN_LIMIT_MS }));
        },
      };
    }
  }
}

async function since(work: () => Promise<void>): Promise<{ readonly backMs: number }> {
  const backMs = monotonicMs();
  await work();
  return { backMs };
}

/** Brings the pair back to Primary Active / Secondary Syncing, in sync and armed. */
export async function backToNormal(pair: RealPair): Promise<void> {
  if ((await pair.secondary.status())?.currentRole === 'active') {
    await pair.inSyncSwapped({ withinMs: REJOIN_LIMIT_MS });
    await pair.secondary.perform('/ha/failback', {}, { withinMs: 60_000 });
  }
  await pair.inSync({ withinMs: REJOIN_LIMIT_MS });
  await pair.secondary.shows(
    'an armed automatic failover',
    { withinMs: 30_000 },
    ({ automaticFailover }) => automaticFailover.armed,
  );
}
