export { objectionsOfMachine } from './checks.ts';
export { nodeStatus, stopNode } from './control-node.ts';
export { NotStartable } from './not-startable.ts';
export { type Layout, runNode } from './run-node.ts';
export type { RunnerLock } from './runner-lock.ts';
