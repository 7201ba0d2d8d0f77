import { runService } from '@understudy/messaging';
import { startReadinessChecker } from './start-readiness-checker.ts';

runService('readiness-checker', startReadinessChecker);
