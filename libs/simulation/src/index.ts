export * from './seeded-random.ts';
export * from './simulated-pair.ts';
export * from './simulated-server.ts';
