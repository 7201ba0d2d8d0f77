import { runService } from '@understudy/messaging';
import { startDbReplication } from './start-db-replication.ts';

runService('db-replication', startDbReplication);
