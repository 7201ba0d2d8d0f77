export { startPatchManager } from './start-patch-manager.ts';
