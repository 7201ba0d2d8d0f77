import { runService } from '@understudy/messaging';
import { startFileSync } from './start-file-sync.ts';

runService('file-sync', startFileSync);
