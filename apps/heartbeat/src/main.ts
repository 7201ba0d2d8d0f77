import { runService } from '@understudy/messaging';
import { startHeartbeat } from './start-heartbeat.ts';

runService('heartbeat', startHeartbeat);
