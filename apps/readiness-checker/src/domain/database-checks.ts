import { check, failed, warning } from './check.ts';
import { sizeText } from './text.ts';

const MIB = 1024 * 1024;
/** Where containers begin, and queries with several workers end with "could not resize shared memory segment". */
const SHARED_MEMORY_MIN = 64 * MIB;
const SHARED_MEMORY_ADVISED = 256 * MIB;

/** What is looked at in PostgreSQL. */
export const DATABASE_CHECKS = [
  check({
    name: 'DATABASE - CHECK ONLINE STATUS',
    group: 'DATABASE',
    lists: ['registration'],
    field: 'database',
    impact: 'Without a database that answers that server can neither serve nor follow.',
    recommendation: 'See postgresql.log and the event list of that server.',
    show: ({ role, usable }) => (role === 'none' ? 'none yet' : `${role}, ${usable ? 'answers' : 'does not answer'}`),
    each: ({ role, running, usable }, _, server) => {
      // a secondary gets its database by being registered
      if (role === 'none') return server === 'secondary' ? null : failed('there is no database');
      if (!running) return failed('PostgreSQL does not run');
      return usable ? null : failed('PostgreSQL runs but does not answer');
    },
  }),
  check({
    name: 'DATABASE - CHECK MEMORY TARGET',
    group: 'DATABASE',
    lists: ['registration'],
    field: 'sharedMemoryBytes',
    impact: 'Queries that use several workers fail.',
    recommendation: 'Enlarge /dev/shm there; in a container by --shm-size.',
    show: (bytes) => `${sizeText(bytes)} of /dev/shm`,
    each: (bytes) => {
      if (bytes < SHARED_MEMORY_MIN)
        return failed(`/dev/shm has ${sizeText(bytes)}, ${sizeText(SHARED_MEMORY_MIN)} are required`);
      return bytes < SHARED_MEMORY_ADVISED
        ? warning(`/dev/shm has ${sizeText(bytes)}, ${sizeText(SHARED_MEMORY_ADVISED)} are advised`)
        : null;
    },
  }),
  check({
    name: 'DATABASE - SYNC STATUS',
    group: 'DATABASE',
    lists: ['failover'],
    field: 'database',
    impact: 'A failover now may lose what was written last.',
    recommendation: 'See why the standby does not stream: docs/operations/database-sync-trouble.md.',
    show: ({ role, streaming, lagBytes }) =>
      `${role}, ${streaming ? 'streaming' : 'not streaming'}${lagBytes === null ? '' : `, lag ${sizeText(lagBytes)}`}`,
    both: (primary, secondary) => {
      const standbys = [primary, secondary].filter(({ role }) => role === 'standby');
      if (standbys.length !== 1)
        return failed(`the databases are ${primary.role} and ${secondary.role}, not one active and one standby`);
      return standbys[0]?.streaming ? null : failed('the standby does not stream from the active server');
    },
  }),
  check({
    name: 'DATABASE - VERSION',
    group: 'DATABASE',
    lists: ['further'],
    field: 'databaseVersion',
    impact: 'A standby of another major version cannot follow.',
    recommendation: 'Install the same release of PostgreSQL on both servers.',
    show: (version) => `PostgreSQL ${version}`,
    both: (primary, secondary) => {
      if (primary === secondary) return null;
      const difference = `the primary has PostgreSQL ${primary}, the secondary ${secondary}`;
      const major = (version: string) => version.split('.')[0];
      return major(primary) === major(secondary) ? warning(difference) : failed(difference);
    },
  }),
];
