import type { Telling } from '../procedures/driver.ts';
import { LOW_LIMITS, RealPairDriver } from '../procedures/real-driver.ts';
import { TELLINGS } from '../procedures/tellings.ts';
import { type DeclareScenario, scenariosOnRealPair } from './scenario.ts';

const LIMIT_MS = 900_000;

function play(tellings: readonly Telling[], scenario: DeclareScenario): void {
  for (const { title, procedures, failoverType, bothActive = false, tell } of tellings)
    scenario(`${procedures.join(', ')}: ${title}`, { failoverType, bothActive, timeoutMs: LIMIT_MS }, ({ pair }) =>
      tell(new RealPairDriver(pair, failoverType)),
    );
}

const isLow = ({ lowLimits = false }: Telling) => lowLimits;

scenariosOnRealPair('the procedures of the specification', {}, (scenario) => {
  play(
    TELLINGS.filter((telling) => !isLow(telling)),
    scenario,
  );
});

scenariosOnRealPair('procedures on a pair with low limits', { sections: LOW_LIMITS }, (scenario) => {
  play(TELLINGS.filter(isLow), scenario);
});
