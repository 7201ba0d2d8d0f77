export { objectionsOfMachine } from './checks.ts';
export { nodeStatus, stopNode } from './control-node.ts';
export { NotStartable } from './not-startable.ts';
export { reportHealth } from './part-health.ts';
export { PARTS, type Part } from './part-runner.ts';
export { runContainers } from './run-containers.ts';
export { type Layout, runNode } from './run-node.ts';
export { runPart } from './run-part.ts';
export type { RunnerLock } from './runner-lock.ts';
