export * from './bus.ts';
export * from './bus-application.ts';
export * from './bus-error.ts';
export type { MessageDefinition } from './bus-server.ts';
export { connectBus } from './connect-bus.ts';
export { HealthReport } from './health-report.ts';
export type { Order } from './order.ts';
export * from './run-service.ts';
