export * from './host.ts';
export * from './interpreter.ts';
export * from './ports.ts';
