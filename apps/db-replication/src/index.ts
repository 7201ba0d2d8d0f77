export { startDbReplication } from './start-db-replication.ts';
