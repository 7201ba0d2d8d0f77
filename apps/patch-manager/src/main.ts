import { runService } from '@understudy/messaging';
import { startPatchManager } from './start-patch-manager.ts';

runService('patch-manager', startPatchManager);
