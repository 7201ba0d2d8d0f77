export * from './adversity.ts';
export * from './random-run.ts';
export * from './seeded-random.ts';
export type { DatabaseBackup } from './simulated-database.ts';
export { RETENTION_SECONDS } from './simulated-manager.ts';
export * from './simulated-pair.ts';
export * from './simulated-server.ts';
export * from './tally.ts';
