import { describe, it } from '@jest/globals';
import { SimulatedPairDriver } from './simulated-driver.ts';
import { TELLINGS } from './tellings.ts';

describe('on a simulated pair', () => {
  it.each(TELLINGS.map((telling) => [`${telling.procedures.join(', ')}: ${telling.title}`, telling] as const))(
    '%s',
    async (_, { failoverType, tell }) => {
      await tell(await SimulatedPairDriver.inSync(failoverType));
    },
  );
});
