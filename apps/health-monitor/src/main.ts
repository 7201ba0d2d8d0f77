import { runService } from '@understudy/messaging';
import { startHealthMonitor } from './start-health-monitor.ts';

runService('health-monitor', startHealthMonitor);
