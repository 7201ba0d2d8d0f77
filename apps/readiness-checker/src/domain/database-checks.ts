import { check, failed, type Objection, warning } from './check.ts';
import { sizeText } from './text.ts';

const MIB = 1024 * 1024;
/** Where containers begin, and queries with several workers end with "could not resize shared memory segment". */
const SHARED_MEMORY_MIN = 64 * MIB;
const SHARED_MEMORY_ADVISED = 256 * MIB;

/** A copy needs a little more than the database itself: what is written meanwhile. */
const ROOM_FACTOR = 1.1;

interface Room {
  readonly databaseBytes: number | null;
  readonly availableBytes: number;
}

/** Whether the database of one server would have room on the other beside what lies there. */
function roomFor(server: string, { databaseBytes }: Room, { availableBytes }: Room): Objection {
  if (databaseBytes === null || availableBytes >= databaseBytes * ROOM_FACTOR) return null;
  return failed(
    `${server}: ${sizeText(availableBytes)} are free, a full copy needs ${sizeText(databaseBytes * ROOM_FACTOR)}`,
  );
}

interface HugePages {
  readonly total: number;
  readonly setting: 'off' | 'try' | 'on' | null;
  readonly needed: number | null;
}

/** Whether the database of one server would find on the other the huge pages that it has. */
function hugePagesFor(server: string, { setting, needed, total: has }: HugePages, other: HugePages): Objection {
  if (setting === null || setting === 'off' || needed === null || other.total >= needed) return null;
  const lack = `${server}: ${other.total} huge pages, the database of the other server needs ${needed}`;
  if (setting === 'on') return failed(lack);
  return has >= needed ? warning(lack) : null;
}

const problemsOf = ({ problems }: { readonly problems: readonly string[] }) =>
  problems.length > 0 ? failed(problems.join(', ')) : null;
const countOf = ({ problems }: { readonly problems: readonly string[] }) =>
  problems.length === 0 ? 'intact' : `${problems.length} problems`;

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
    each: ({ role, running, usable, isPaired }, _, server) => {
      // a secondary gets its database by being registered; one left from an earlier pair is stopped until then
      const waits = (role === 'none' && isPaired !== true) || (role === 'stopped' && isPaired === false);
      if (server === 'secondary' && waits) return null;
      if (role === 'none') return failed('there is no database');
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
    name: 'DATABASE - HUGE PAGES',
    group: 'DATABASE',
    lists: ['further'],
    field: 'hugePages',
    impact: 'With huge_pages = on PostgreSQL does not start on that server; else it is slower there.',
    recommendation: 'Set vm.nr_hugepages on both servers to what PostgreSQL needs, with some to spare.',
    show: ({ total, pageBytes, setting, needed }) =>
      [
        `${total} of ${sizeText(pageBytes)}`,
        ...(needed === null ? [] : [`PostgreSQL needs ${needed}`]),
        ...(setting === null ? [] : [`huge_pages ${setting}`]),
      ].join(', '),
    each: ({ total, setting, needed }) =>
      setting === 'on' && needed !== null && total < needed
        ? failed(`${total} huge pages, ${needed} are needed`)
        : null,
    both: (primary, secondary) =>
      hugePagesFor('secondary', primary, secondary) ?? hugePagesFor('primary', secondary, primary),
  }),
  check({
    name: 'DATABASE - LISTENER STATUS',
    group: 'DATABASE',
    lists: ['registration'],
    field: 'listener',
    impact: 'Nobody reaches the database of that server over the network.',
    recommendation: 'See postgresql.log there; db-replication starts PostgreSQL again by itself.',
    show: ({ where, problem, isFree }) =>
      `${where} ${isFree ? 'is free for PostgreSQL' : problem === null ? 'answers' : 'does not answer'}`,
    each: ({ problem }) => (problem === null ? null : failed(problem)),
  }),
  check({
    name: 'DATABASE - CHECK LISTENER CONFIG CORRUPTION',
    group: 'DATABASE',
    lists: ['registration'],
    field: 'listenerConfiguration',
    impact: 'PostgreSQL does not take its configuration, or does not let the other server in.',
    recommendation:
      'Correct database.accessRules and database.parameters; the files are written anew at each start of the server.',
    show: countOf,
    each: problemsOf,
  }),
  check({
    name: 'DATABASE - CHECK CONNECTION CONFIG CORRUPTION',
    group: 'DATABASE',
    lists: ['registration'],
    field: 'connectionConfiguration',
    impact: 'That server cannot follow the other one.',
    recommendation: 'Restart that server: it writes these files anew.',
    show: countOf,
    each: problemsOf,
  }),
  check({
    name: 'DATABASE - CONNECTION REACHABILITY STATUS',
    group: 'DATABASE',
    lists: ['registration'],
    field: 'peerLogin',
    impact: 'That server cannot follow the other one.',
    recommendation: 'See the reason, and postgresql.log of the other server.',
    show: ({ where, problem, isTlsOnly }) =>
      `${problem !== null ? 'no login' : isTlsOnly ? 'TLS with its certificate' : 'logged in'} at ${where}`,
    each: ({ where, problem, isTlsOnly }) =>
      problem === null ? null : failed(isTlsOnly ? problem : `no login at ${where}: ${problem}`),
  }),
  check({
    name: 'DATABASE - LOCALE AND COLLATION',
    group: 'DATABASE',
    lists: ['further'],
    field: 'locales',
    impact: 'Text is sorted differently on the other server: its indexes find less than they hold.',
    recommendation: 'Install the same release of the C library and the missing locales on both servers.',
    show: ({ library, used }) => [library, ...used].join(', '),
    both: (primary, secondary) => {
      if (primary.library !== secondary.library)
        return failed(`the primary has ${primary.library}, the secondary ${secondary.library}`);
      const plain = (name: string) => name.toLowerCase().replaceAll('-', '');
      const lacking = (used: readonly string[], installed: readonly string[]) =>
        used.filter((name) => !['C', 'POSIX'].includes(name) && !installed.map(plain).includes(plain(name)));
      const missing = [
        ...lacking(primary.used, secondary.installed).map((name) => `the secondary has no locale ${name}`),
        ...lacking(secondary.used, primary.installed).map((name) => `the primary has no locale ${name}`),
      ];
      return missing.length > 0 ? failed(missing.join(', ')) : null;
    },
  }),
  check({
    name: 'DATABASE - ROOM FOR A FULL COPY',
    group: 'DATABASE',
    lists: ['further'],
    field: 'databaseRoom',
    impact: 'A server that was away too long cannot be copied to.',
    recommendation: 'Free room on the disk of the database there, or enlarge it.',
    show: ({ databaseBytes, availableBytes }) =>
      `${databaseBytes === null ? 'no database' : `database ${sizeText(databaseBytes)}`}, ${sizeText(availableBytes)} free`,
    both: (primary, secondary) => roomFor('secondary', primary, secondary) ?? roomFor('primary', secondary, primary),
  }),
  check({
    name: 'DATABASE - ROOM FOR WAL OF AN ABSENT PEER',
    group: 'DATABASE',
    lists: ['further'],
    field: 'databaseRoom',
    impact: 'While the other server is away the disk runs full, and the database stops.',
    recommendation: 'Make database.walKeepLimit smaller, or enlarge the disk of the database.',
    show: ({ availableBytes, walKeepLimitBytes }) =>
      `${sizeText(availableBytes)} free, keeps up to ${sizeText(walKeepLimitBytes)}`,
    each: ({ availableBytes, walKeepLimitBytes }) =>
      availableBytes < walKeepLimitBytes
        ? warning(`${sizeText(availableBytes)} are free, WAL may take ${sizeText(walKeepLimitBytes)}`)
        : null,
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
    silent: ({ isPaired }) => (isPaired === false ? 'the servers are not registered as a pair' : null),
    both: (primary, secondary) => {
      if (primary.isPaired === false) return null;
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
