export { startReadinessChecker } from './start-readiness-checker.ts';
