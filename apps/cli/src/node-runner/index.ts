export { nodeStatus, stopNode } from './control-node.ts';
export { NotStartable, type RunnerLock } from './preparation.ts';
export { type Layout, runNode } from './run-node.ts';
