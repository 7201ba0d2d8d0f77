import { runService } from '@understudy/messaging';
import { startNotifier } from './start-notifier.ts';

runService('notifier', startNotifier);
