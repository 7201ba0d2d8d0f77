export * from './db-replication.ts';
export * from './define-message.ts';
export * from './file-sync.ts';
export * from './health-monitor.ts';
export * from './heartbeat.ts';
export * from './readiness.ts';
export * from './service-health.ts';
export * from './vocabulary.ts';
