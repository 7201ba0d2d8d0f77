export * from './meter.ts';
export * from './metrics.ts';
export * from './prometheus-text.ts';
export * from './spans.ts';
export * from './start-telemetry.ts';
