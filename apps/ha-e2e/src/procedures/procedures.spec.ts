import { describe, it } from '@jest/globals';
import { SimulatedPairDriver } from './simulated-driver.ts';
import { ALL_TELLINGS } from './tellings.ts';

describe('on a simulated pair', () => {
  it.each(ALL_TELLINGS.map((telling) => [`${telling.procedures.join(', ')}: ${telling.title}`, telling] as const))(
    '%s',
    async (_, { failoverType, tell }) => {
      await tell(await SimulatedPairDriver.inSync(failoverType));
    },
  );
});
