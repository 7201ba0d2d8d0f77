/** All projects in one run of Jest: unit tests by default, the integration tests alone with UNDERSTUDY_INTEGRATION=1. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import preset from '../jest.preset.mjs';

const isIntegration = process.env.UNDERSTUDY_INTEGRATION === '1';

export default {
  ...preset,
  rootDir: join(dirname(fileURLToPath(import.meta.url)), '..'),
  testMatch: [`<rootDir>/{apps,libs}/*/src/**/*${isIntegration ? '.int' : ''}.spec.ts`],
  testPathIgnorePatterns: isIntegration ? [] : ['\\.int\\.spec\\.ts$'],
  // A busy machine is no failure; what must be quick says so in its own test.
  testTimeout: 30_000,
  // Integration tests start servers of their own: one file at a time.
  maxWorkers: isIntegration ? 1 : 2,
};
