export * from './adversity.ts';
export * from './random-run.ts';
export * from './seeded-random.ts';
export * from './simulated-pair.ts';
export * from './simulated-server.ts';
export * from './tally.ts';
