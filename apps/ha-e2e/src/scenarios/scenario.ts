import { afterAll, describe, expect, it } from '@jest/globals';
import { namespacesAreAvailable } from '../real-pair/namespaces.ts';
import { type FailoverType, type PairOptions, RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { Witness } from '../real-pair/witness.ts';
import { accountOf } from './account.ts';

/** What one scenario wants. */
export interface ScenarioOptions {
  /** Failover type of the pair at the beginning. */
  readonly failoverType: FailoverType;
  /** Both servers are active at some time, as the specification has it for a cut link: the application runs on both then. */
  readonly bothActive?: boolean;
  /** Deadline of the whole scenario; 150 s unless told. */
  readonly timeoutMs?: number;
}

/** What a scenario is told on. */
export interface ScenarioStage {
  readonly pair: RealPair;
  readonly primary: UnderstudyServer;
  readonly secondary: UnderstudyServer;
}

/** Declares a scenario: a sentence, what it wants, and how it goes. */
export type DeclareScenario = (
  title: string,
  options: ScenarioOptions,
  tell: (stage: ScenarioStage) => Promise<void>,
) => void;

const BUILD_MS = 240_000;
const RECOVERY_MS = 45_000;
const KEEPS_FILES = process.env.UNDERSTUDY_E2E_KEEP === '1';

/**
 * Groups scenarios that share one pair of real servers, which is built for the first of them and again only when one has failed
 * or left it in another state than it found it. Every scenario begins with Primary Active / Secondary Syncing, in sync.
 * Without root or network namespaces they are reported as skipped.
 */
export function scenariosOnRealPair(
  title: string,
  options: Partial<PairOptions>,
  declare: (scenario: DeclareScenario) => void,
): void {
  const available = namespacesAreAvailable();
  const pairOptions: PairOptions = { layout: 'composed', heartbeat: TEST_TIMES, ...options };
  let pair: RealPair | undefined;

  /** Where the pair has a witness it is there at the beginning of every scenario: without it nothing is armed. */
  async function startWitness({ stage }: RealPair): Promise<void> {
    if (pairOptions.sections?.witness !== undefined) await new Witness(stage.n3).start();
  }

  async function readyPair(failoverType: FailoverType): Promise<RealPair> {
    if (pair) await startWitness(pair);
    if (pair && (await isReadyAgain(pair, failoverType))) return pair;
    pair?.destroy();
    pair = new RealPair(pairOptions);
    await startWitness(pair);
    await pair.start(failoverType);
    await getReady(pair, failoverType);
    return pair;
  }

  describe(available ? title : `${title} (needs root, ip and network namespaces)`, () => {
    afterAll(() => pair?.destroy());

    declare((sentence, { failoverType, bothActive = false, timeoutMs = 150_000 }, tell) => {
      const run = async () => {
        try {
          const ready = await readyPair(failoverType);
          await tell({ pair: ready, primary: ready.primary, secondary: ready.secondary });
          if (!bothActive) expect(ready.application.runningOnBoth()).toEqual([]);
        } catch (error) {
          if (pair) {
            const kept = KEEPS_FILES ? `\n--- files are kept in ${pair.stage.directory}` : '';
            const account = (await accountOf(pair.servers)) + kept;
            pair.destroy({ keepFiles: KEEPS_FILES });
            pair = undefined;
            throw new Error(`${error instanceof Error ? error.message : String(error)}\n${account}`, { cause: error });
          }
          throw error;
        } finally {
          await pair?.stopWriters();
        }
      };
      if (available) it(sentence, run, BUILD_MS + timeoutMs);
      else it.skip(sentence, run);
    });
  });
}

/** Brings a used pair back to the beginning; false when that does not work out and it has to be built anew. */
async function isReadyAgain(pair: RealPair, failoverType: FailoverType): Promise<boolean> {
  try {
    for (const { host } of pair.servers) if (host.isPowered) host.healLink();
    if (pair.servers.some((server) => !server.host.isPowered)) return false;
    pair.application.reset(pair.stage);
    if ((await pair.secondary.status())?.currentRole === 'active') {
      await pair.inSyncSwapped({ withinMs: RECOVERY_MS });
      await pair.secondary.perform('/ha/failback', {}, { withinMs: RECOVERY_MS });
    }
    await pair.inSync({ withinMs: RECOVERY_MS });
    await getReady(pair, failoverType);
    return true;
  } catch {
    return false;
  }
}

async function getReady(pair: RealPair, failoverType: FailoverType): Promise<void> {
  if ((await pair.primary.status())?.failoverType !== failoverType) {
    const { status, body } = await pair.primary.rest('PATCH', '/ha/configuration', { body: { failoverType } });
    if (status !== 200) throw new Error(`PATCH /ha/configuration: ${status} ${body}`);
  }
  for (const server of pair.servers) {
    await server.shows(
      `failover type ${failoverType}`,
      { withinMs: 10_000 },
      (status) => status.failoverType === failoverType,
    );
  }
  if (failoverType === 'automatic') {
    await pair.secondary.shows(
      'an armed automatic failover',
      { withinMs: 20_000 },
      (status) => status.automaticFailover.armed,
    );
  }
  await pair.primary.shows('that its data are protected', { withinMs: 20_000 }, (status) => status.database.protected);
  pair.application.reset(pair.stage);
  await pair.mark();
}
