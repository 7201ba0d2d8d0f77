import preset from '../../jest.preset.mjs';

// Scenarios need the built product and minutes; they run by themselves: `npm run scenarios`.
export default process.env.UNDERSTUDY_SCENARIOS === '1'
  ? { ...preset, testMatch: ['<rootDir>/src/**/*.scenario.ts'], maxWorkers: 1, slowTestThreshold: 120 }
  : preset;
