import type { Telling } from '../procedures/driver.ts';
import { LOW_LIMITS, RealPairDriver } from '../procedures/real-driver.ts';
import { scenariosOnRealPair } from './scenario.ts';

const LIMIT_MS = 900_000;

/** Plays procedures of the specification on a real pair; those that need low limits on one that has them. */
export function playOnRealPair(title: string, tellings: readonly Telling[]): void {
  for (const hasLowLimits of [false, true]) {
    const played = tellings.filter(({ lowLimits = false }) => lowLimits === hasLowLimits);
    if (played.length === 0) continue;
    const ending = hasLowLimits ? ', with low limits' : '';
    scenariosOnRealPair(`${title}${ending}`, hasLowLimits ? { sections: LOW_LIMITS } : {}, (scenario) => {
      for (const { title: sentence, procedures, failoverType, bothActive = false, tell } of played)
        scenario(
          `${procedures.join(', ')}: ${sentence}`,
          { failoverType, bothActive, timeoutMs: LIMIT_MS },
          async ({ pair }) => {
            const driver = new RealPairDriver(pair, failoverType);
            try {
              await driver.inSync();
              await tell(driver);
            } finally {
              await driver.close();
            }
          },
        );
    });
  }
}
