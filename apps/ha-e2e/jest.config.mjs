import preset from '../../jest.preset.mjs';

// Scenarios need the built product and minutes; they run by themselves: `npm run scenarios`. Every worker has a pair of its own.
const workers = Number(process.env.UNDERSTUDY_SCENARIO_WORKERS ?? 1);
export default process.env.UNDERSTUDY_SCENARIOS === '1'
  ? { ...preset, testMatch: ['<rootDir>/src/**/*.scenario.ts'], maxWorkers: workers, slowTestThreshold: 120 }
  : preset;
