/** Jest for every project: ESM, TypeScript through SWC, libraries taken from their source so that no build is needed first. */
export default {
  testEnvironment: 'node',
  rootDir: process.cwd(),
  testMatch: ['<rootDir>/src/**/*.spec.ts'],
  testPathIgnorePatterns: process.env.UNDERSTUDY_INTEGRATION === '1' ? [] : ['\\.int\\.spec\\.ts$'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testEnvironmentOptions: { customExportConditions: ['@understudy/source', 'node', 'node-addons'] },
  setupFiles: ['reflect-metadata'],
};
