export * from './beginnings.ts';
export * from './check-plant.ts';
export * from './explore.ts';
export { Model, PRODUCT, type Writes } from './model.ts';
export type { Plant } from './plant.ts';
export { PLANTED_FAULTS } from './planted-faults.ts';
export * from './trace.ts';
