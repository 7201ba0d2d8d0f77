import { RealPairDriver } from '../procedures/real-driver.ts';
import { TELLINGS } from '../procedures/tellings.ts';
import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('the procedures of the specification', {}, (scenario) => {
  for (const { title, procedures, failoverType, bothActive = false, tell } of TELLINGS)
    scenario(`${procedures.join(', ')}: ${title}`, { failoverType, bothActive }, ({ pair }) =>
      tell(new RealPairDriver(pair, failoverType)),
    );
});
