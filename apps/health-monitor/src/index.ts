export { startHealthMonitor } from './start-health-monitor.ts';
