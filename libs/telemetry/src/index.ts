export * from './spans.ts';
export * from './start-telemetry.ts';
