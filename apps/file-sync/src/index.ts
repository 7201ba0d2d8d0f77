export { startFileSync } from './start-file-sync.ts';
