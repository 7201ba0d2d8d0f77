import { describe, expect, it } from '@jest/globals';
import type { Measurements, ReadinessReport } from '@understudy/contracts';
import type { Requirements, Side } from './check.ts';
import { closedPorts } from './closed-ports.ts';
import { CHECKLIST, evaluate, overallOf } from './evaluate.ts';

const GIB = 1024 ** 3;
const REQUIREMENTS: Requirements = { cpus: 2, memory: 2 * GIB, disk: 20 * GIB, warnPercent: 80 };
const DISK = {
  uses: ['data', 'database'],
  mountPoint: '/',
  sizeBytes: 100 * GIB,
  availableBytes: 60 * GIB,
  usedPercent: 40,
  usedInodesPercent: 3,
};
const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-29T12:00:00Z');
const at = (days: number) => new Date(NOW + days * DAY_MS).toISOString();

/** A server that nothing is wrong with. */
const SOUND = {
  release: { value: '1.4.2' },
  cpuCount: { value: 4 },
  memoryBytes: { value: 8 * GIB },
  operatingSystem: { value: { name: 'Debian 12', kernel: 'Linux 6.1', architecture: 'x64' } },
  fileSystems: { value: [DISK] },
  diskSpeed: { value: { writeMegabytesPerSecond: 400, readMegabytesPerSecond: 900 } },
  sharedMemoryBytes: { value: 4 * GIB },
  timeZone: { value: 'UTC' },
  unixMs: { value: NOW },
  clockSynchronised: { value: true },
  kernelLimits: { value: { openFiles: 65_536, overcommitMemory: 2 } },
  mandatoryAccessControl: { value: 'AppArmor' },
  accounts: { value: { used: ['user postgres', 'group nms'], known: { 'user postgres': 101, 'group nms': 990 } } },
  hugePages: { value: { total: 600, pageBytes: 2 * 1024 ** 2, setting: 'try' as 'try' | 'on', needed: 500 } },
  certificate: { value: { validFrom: at(-1), validTo: at(3650), nowUnixMs: NOW } },
  healthMonitor: { value: 'ready' },
  networkInterface: { value: { name: 'eth0', mtu: 1500, megabitsPerSecond: 10_000 } },
  databaseVersion: { value: '15.8' },
  database: { value: { role: 'read-write', running: true, usable: true, streaming: true, lagBytes: 0 } },
  ping: { value: { lossPercent: 0, roundTripMs: 0.4 } },
  latency: { value: { milliseconds: 0.5, problem: null } },
  throughput: { value: { megabitsPerSecond: 940, bytes: 64 * 1024 ** 2 } },
  names: { value: { shown: '10.77.0.1, 10.77.0.2', problems: [] } },
  peerDatabasePort: { value: { where: '10.77.0.2:5432', problem: null } },
  peerPorts: { value: [{ use: 'pair link', port: 7422, problem: null }] },
  listener: { value: { where: '10.77.0.1:5432', problem: null } },
  listenerConfiguration: { value: { problems: [] } },
  connectionConfiguration: { value: { problems: [] } },
  peerLogin: { value: { where: '10.77.0.2:5432', problem: null } },
  locales: { value: { library: 'glibc 2.36', used: ['en_US.UTF-8', 'C'], installed: ['C', 'en_US.utf8'] } },
  databaseRoom: { value: { databaseBytes: 10 * GIB, availableBytes: 60 * GIB, walKeepLimitBytes: 8 * GIB } },
} satisfies Measurements;
const STANDBY = { value: { ...SOUND.database.value, role: 'standby' } };
const SECONDARY = { ...SOUND, database: STANDBY } satisfies Measurements;

const side = (measurements: Measurements): Side => ({ measurements });
const judged = (primary: Side, secondary: Side) => evaluate({ primary, secondary }, REQUIREMENTS, null);

const at5432 = (problem: string) => ({ value: { where: '10.77.0.1:5432', problem } });

/** What is wrong on the secondary, the line that says so, how, and in which words. */
const BREACHES: [string, string, Measurements, RegExp][] = [
  ['SYSTEM - CHECK CPU COUNT', 'failed', { cpuCount: { value: 1 } }, /^secondary: 1 CPUs, 2 are required$/],
  ['SYSTEM - CHECK CPU COUNT', 'warning', { cpuCount: { value: 2 } }, /secondary has 2 CPUs, the primary 4/],
  [
    'SYSTEM - CHECK DISK IOPS',
    'failed',
    { diskSpeed: { value: { writeMegabytesPerSecond: 150, readMegabytesPerSecond: null } } },
    /^secondary: writes 150 MB\/s; 200 MB\/s are required$/,
  ],
  ['SYSTEM - CHECK RAM SIZE', 'failed', { memoryBytes: { value: GIB } }, /1 GiB, 2 GiB are required/],
  ['SYSTEM - CHECK RAM SIZE', 'warning', { memoryBytes: { value: 4 * GIB } }, /has 4 GiB, the primary 8 GiB/],
  ['SYSTEM - CHECK DISK SIZE', 'failed', { fileSystems: { value: [{ ...DISK, sizeBytes: GIB }] } }, /1 GiB at \//],
  ['SYSTEM - CHECK DISK SIZE', 'warning', { fileSystems: { value: [{ ...DISK, sizeBytes: 50 * GIB }] } }, /50 GiB/],
  [
    'SYSTEM - CHECK OS COMPATIBILITY',
    'failed',
    { operatingSystem: { value: { ...SOUND.operatingSystem.value, name: 'Debian 11' } } },
    /primary runs Debian 12, the secondary Debian 11/,
  ],
  [
    'SYSTEM - CHECK OS COMPATIBILITY',
    'failed',
    { operatingSystem: { value: { ...SOUND.operatingSystem.value, architecture: 'arm64' } } },
    /x64 and arm64/,
  ],
  ['SYSTEM - HEALTH MONITOR STATUS', 'failed', { healthMonitor: { value: 'starting: starting' } }, /is starting/],
  [
    'SYSTEM - RELEASE OF UNDERSTUDY',
    'failed',
    { release: { value: '1.5.0' } },
    /primary runs 1.4.2, the secondary 1.5.0/,
  ],
  ['SYSTEM - RELEASE OF UNDERSTUDY', 'warning', { release: { value: '1.4.3' } }, /the secondary 1.4.3/],
  ['SYSTEM - FREE DISK AND INODES', 'warning', { fileSystems: { value: [{ ...DISK, usedPercent: 81 }] } }, /81 % used/],
  [
    'SYSTEM - FREE DISK AND INODES',
    'warning',
    { fileSystems: { value: [{ ...DISK, usedInodesPercent: 99 }] } },
    /99 % of the inodes of \/ are used/,
  ],
  ['SYSTEM - CLOCK DIFFERENCE', 'warning', { unixMs: { value: NOW - 7000 } }, /secondary is 7 s behind/],
  ['SYSTEM - TIME SERVICE', 'warning', { clockSynchronised: { value: false } }, /no time service/],
  ['SYSTEM - TIME ZONE', 'warning', { timeZone: { value: 'Asia/Tokyo' } }, /is in UTC, the secondary in Asia\/Tokyo/],
  [
    'SYSTEM - KERNEL LIMITS',
    'warning',
    { kernelLimits: { value: { openFiles: 1024, overcommitMemory: 2 } } },
    /1024 open files/,
  ],
  [
    'SYSTEM - KERNEL LIMITS',
    'warning',
    { kernelLimits: { value: { openFiles: 65_536, overcommitMemory: 0 } } },
    /overcommit_memory is 2 and 0/,
  ],
  [
    'SYSTEM - USER IDS',
    'warning',
    { accounts: { value: { used: [], known: { 'user postgres': 999, 'group nms': 990 } } } },
    /^user postgres is 101 and 999$/,
  ],
  [
    'SYSTEM - USER IDS',
    'warning',
    { accounts: { value: { used: [], known: { 'user postgres': 101 } } } },
    /990 and unk/,
  ],
  [
    'DATABASE - HUGE PAGES',
    'warning',
    { hugePages: { value: { ...SOUND.hugePages.value, total: 0 } } },
    /^secondary: 0 huge pages, the database of the other server needs 500$/,
  ],
  [
    'DATABASE - HUGE PAGES',
    'failed',
    { hugePages: { value: { ...SOUND.hugePages.value, setting: 'on', total: 499 } } },
    /^secondary: 499 huge pages, 500 are needed$/,
  ],
  ['SYSTEM - MANDATORY ACCESS CONTROL', 'warning', { mandatoryAccessControl: { value: 'SELinux enforcing' } }, /SELi/],
  ['SYSTEM - MANDATORY ACCESS CONTROL', 'warning', { mandatoryAccessControl: { value: 'none' } }, /none on the second/],
  [
    'SYSTEM - CERTIFICATE VALIDITY',
    'failed',
    { certificate: { value: { ...SOUND.certificate.value, validTo: at(-2) } } },
    /expired on 2026-11-27/,
  ],
  [
    'SYSTEM - CERTIFICATE VALIDITY',
    'warning',
    { certificate: { value: { ...SOUND.certificate.value, validTo: at(10) } } },
    /expires in 10 days/,
  ],
  [
    'NETWORK - CHECK NETWORK INTERFACE BANDWIDTH',
    'failed',
    { networkInterface: { value: { name: 'eth1', mtu: 1500, megabitsPerSecond: 10 } } },
    /eth1 has 10 Mbps, 100 are required/,
  ],
  [
    'NETWORK - CHECK NETWORK INTERFACE BANDWIDTH',
    'warning',
    { networkInterface: { value: { name: 'eth1', mtu: 1500, megabitsPerSecond: 100 } } },
    /500 are recommended/,
  ],
  [
    'NETWORK - CHECK NETWORK INTERFACE BANDWIDTH',
    'not-checked',
    { networkInterface: { value: { name: 'eth1', mtu: 1500, megabitsPerSecond: null } } },
    /eth1 does not tell its speed/,
  ],
  [
    'NETWORK - INTERFACE MTU',
    'warning',
    { networkInterface: { value: { ...SOUND.networkInterface.value, mtu: 9000 } } },
    /1500 bytes on the primary, 9000 on the secondary/,
  ],
  [
    'SYSTEM - CHECK SERVER PING REACHABILITY',
    'failed',
    { ping: { value: { lossPercent: 100, roundTripMs: null } } },
    /secondary: the other server answers no ping/,
  ],
  [
    'SYSTEM - CHECK SERVER PING REACHABILITY',
    'warning',
    { ping: { value: { lossPercent: 25, roundTripMs: 1 } } },
    /25 % of the pings/,
  ],
  [
    'NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY',
    'failed',
    { peerDatabasePort: at5432('10.77.0.1:5432 gives no sign') },
    /gives no sign/,
  ],
  [
    'NETWORK - PORTS OF THE PAIR',
    'failed',
    { peerPorts: { value: [{ use: 'pair link', port: 7422, problem: '10.77.0.1:7422 gives no sign' }] } },
    /^secondary: pair link: 10.77.0.1:7422 gives no sign$/,
  ],
  [
    'NETWORK - LATENCY',
    'failed',
    { latency: { value: { milliseconds: 120.4, problem: null } } },
    /120 ms, 100 at most/,
  ],
  ['NETWORK - LATENCY', 'warning', { latency: { value: { milliseconds: 80, problem: null } } }, /80 ms, less than 70/],
  ['NETWORK - LATENCY', 'failed', { latency: { value: { milliseconds: null, problem: 'ECONNREFUSED' } } }, /REFUSED/],
  ['NETWORK - LATENCY', 'warning', { latency: { value: { milliseconds: 1, problem: 'no sign' } } }, /some connections/],
  [
    'NETWORK - THROUGHPUT',
    'warning',
    { throughput: { value: { megabitsPerSecond: 300, bytes: 10 ** 8 } } },
    /300 Mbps, 500 are recommended/,
  ],
  [
    'NETWORK - THROUGHPUT',
    'not-checked',
    { throughput: { value: { megabitsPerSecond: 0, bytes: 0 } } },
    /the transfer has stalled/,
  ],
  [
    'NETWORK - LARGE PACKETS',
    'failed',
    { throughput: { value: { megabitsPerSecond: 0, bytes: 0 } } },
    /small packets come through from the other server, large ones do not/,
  ],
  [
    'NETWORK - NAME RESOLUTION',
    'warning',
    { names: { value: { shown: 'alpha', problems: ['alpha cannot be looked up'] } } },
    /alpha cannot be looked up/,
  ],
  ['DATABASE - LISTENER STATUS', 'failed', { listener: at5432('nothing listens') }, /^secondary: nothing listens$/],
  [
    'DATABASE - CHECK LISTENER CONFIG CORRUPTION',
    'failed',
    { listenerConfiguration: { value: { problems: ['ssl is off'] } } },
    /ssl is off/,
  ],
  [
    'DATABASE - CHECK CONNECTION CONFIG CORRUPTION',
    'failed',
    { connectionConfiguration: { value: { problems: ['primary_conninfo has no host'] } } },
    /has no host/,
  ],
  [
    'DATABASE - CONNECTION REACHABILITY STATUS',
    'failed',
    { peerLogin: at5432('certificate authentication failed') },
    /no login at 10.77.0.1:5432: certificate authentication failed/,
  ],
  [
    'DATABASE - LOCALE AND COLLATION',
    'failed',
    { locales: { value: { ...SOUND.locales.value, library: 'glibc 2.28' } } },
    /glibc 2.36, the secondary glibc 2.28/,
  ],
  [
    'DATABASE - LOCALE AND COLLATION',
    'failed',
    { locales: { value: { ...SOUND.locales.value, installed: ['C'] } } },
    /the secondary has no locale en_US.UTF-8/,
  ],
  [
    'DATABASE - ROOM FOR A FULL COPY',
    'failed',
    { databaseRoom: { value: { ...SOUND.databaseRoom.value, databaseBytes: null, availableBytes: 10 * GIB } } },
    /secondary: 10 GiB are free, a full copy needs 11 GiB/,
  ],
  [
    'DATABASE - ROOM FOR WAL OF AN ABSENT PEER',
    'warning',
    { databaseRoom: { value: { databaseBytes: 0, availableBytes: 7 * GIB, walKeepLimitBytes: 8 * GIB } } },
    /7 GiB are free, WAL may take 8 GiB/,
  ],
  [
    'DATABASE - CHECK ONLINE STATUS',
    'failed',
    { database: { value: { ...STANDBY.value, usable: false } } },
    /runs but does not answer/,
  ],
  ['DATABASE - CHECK MEMORY TARGET', 'failed', { sharedMemoryBytes: { value: GIB / 64 } }, /16 MiB, 64 MiB are req/],
  ['DATABASE - CHECK MEMORY TARGET', 'warning', { sharedMemoryBytes: { value: GIB / 16 } }, /64 MiB, 256 MiB are adv/],
  ['DATABASE - SYNC STATUS', 'failed', { database: { value: { ...STANDBY.value, streaming: false } } }, /not stream/],
  ['DATABASE - SYNC STATUS', 'failed', { database: SOUND.database }, /read-write and read-write/],
  ['DATABASE - VERSION', 'failed', { databaseVersion: { value: '16.4' } }, /PostgreSQL 15.8, the secondary 16.4/],
  ['DATABASE - VERSION', 'warning', { databaseVersion: { value: '15.7' } }, /15.7/],
];

describe('the checklist', () => {
  it('passes two servers with which nothing is wrong, with nothing to recommend', () => {
    for (const line of judged(side(SOUND), side(SECONDARY)))
      expect(line).toMatchObject({ status: 'passed', reason: '', impact: 'None', recommendation: 'None' });
  });

  it.each(BREACHES)('%s is %s %#', (name, status, breach, words) => {
    const lines = judged(side(SOUND), side({ ...SECONDARY, ...breach }));
    const line = lines.find((entry) => entry.name === name);
    expect(line).toMatchObject({ status, reason: expect.stringMatching(words) });
    expect(line?.recommendation).not.toBe('None');
    expect(line?.impact).not.toBe('None');
  });

  it('has no line that nothing can fail, and no name twice', () => {
    const names = CHECKLIST.map(({ name }) => name);
    expect(
      [...new Set(BREACHES.filter(([, status]) => status !== 'not-checked').map(([name]) => name))].sort(),
    ).toEqual([...names].sort());
    expect(new Set(names).size).toBe(names.length);
  });

  it('passes no line of which one side was not measured, and says why', () => {
    const lines = judged(side(SOUND), { missing: 'beta does not answer' });
    for (const line of lines) {
      expect(line.status).toBe('not-checked');
      expect(line.reason).toContain('secondary: not checked: beta does not answer');
      expect(line).toMatchObject({ primary: expect.any(String), secondary: null });
    }
    expect(overallOf(lines)).toBe('not-checked');
  });

  it('finds that a health monitor which gives no answer is not well, where there is such a server', () => {
    const name = 'SYSTEM - HEALTH MONITOR STATUS';
    const lines = judged(side(SOUND), { missing: 'beta does not answer', isSilent: true });
    expect(lines.find((line) => line.name === name)).toMatchObject({
      status: 'failed',
      reason: 'secondary: beta does not answer',
    });
    expect(lines.filter(({ status }) => status === 'failed')).toHaveLength(1);
  });

  it('judges no replication of servers that are no pair yet', () => {
    const before = { value: { ...SOUND.database.value, isPaired: false } };
    const lines = judged(side({ ...SOUND, database: before }), side({ ...SECONDARY, database: before }));
    const line = lines.find(({ name }) => name === 'DATABASE - SYNC STATUS');
    expect(line).toMatchObject({ status: 'not-checked', reason: expect.stringContaining('not registered as a pair') });
  });

  it('fails a line for the side that was measured when the other was not', () => {
    const [line] = judged(side({ ...SOUND, cpuCount: { value: 1 } }), { missing: 'gone' });
    expect(line).toMatchObject({
      status: 'failed',
      reason: 'primary: 1 CPUs, 2 are required; secondary: not checked: gone',
    });
  });

  it('does not take what an older release does not know for passed', () => {
    const { timeZone: _, ...older } = SECONDARY;
    const line = judged(side(SOUND), side(older)).find(({ name }) => name === 'SYSTEM - TIME ZONE');
    expect(line).toMatchObject({ status: 'not-checked', reason: expect.stringContaining('its release does not know') });
  });

  it('does not ask a secondary for a database before it is registered, but a primary', () => {
    const none = { value: { role: 'none', running: false, usable: false, streaming: false, lagBytes: null } };
    const statusOf = (primary: Measurements, secondary: Measurements) =>
      judged(side(primary), side(secondary)).find(({ name }) => name === 'DATABASE - CHECK ONLINE STATUS')?.status;
    expect(statusOf(SOUND, { ...SECONDARY, database: none })).toBe('passed');
    expect(statusOf({ ...SOUND, database: none }, SECONDARY)).toBe('failed');
    const noneOfPair = { value: { ...none.value, isPaired: true } };
    expect(statusOf(SOUND, { ...SECONDARY, database: noneOfPair })).toBe('failed');
    // what an earlier pair has left on a secondary is stopped until it is registered
    const left = (isPaired: boolean) => ({ value: { ...none.value, role: 'stopped', isPaired } });
    expect(statusOf(SOUND, { ...SECONDARY, database: left(false) })).toBe('passed');
    expect(statusOf(SOUND, { ...SECONDARY, database: left(true) })).toBe('failed');
    expect(statusOf({ ...SOUND, database: left(false) }, SECONDARY)).toBe('failed');
  });

  it('compares the ids of those to whom files belong, whoever else there is, and wherever the files are already', () => {
    const known = { ...SOUND.accounts.value.known, 'user somebody': 7 };
    const before = { ...SECONDARY, accounts: { value: { used: [], known } } };
    const line = judged(side(SOUND), side(before)).find(({ name }) => name === 'SYSTEM - USER IDS');
    expect(line).toMatchObject({ status: 'passed', primary: 'user postgres 101, group nms 990' });
  });

  it('asks the secondary for the huge pages of a database that it has not yet', () => {
    const statusOf = (setting: 'try' | 'on', has: number) => {
      const primary = { ...SOUND, hugePages: { value: { ...SOUND.hugePages.value, setting, total: has } } };
      const none = { value: { total: 0, pageBytes: 2 * 1024 ** 2, setting: null, needed: null } };
      const lines = judged(side(primary), side({ ...SECONDARY, hugePages: none }));
      return lines.find(({ name }) => name === 'DATABASE - HUGE PAGES')?.status;
    };
    expect([statusOf('on', 600), statusOf('try', 600), statusOf('try', 0)]).toEqual(['failed', 'warning', 'passed']);
  });

  it('shows each line beside the run before', () => {
    const slow = { ...SECONDARY, timeZone: { value: 'Asia/Tokyo' } };
    const checks = judged(side(SOUND), side(slow));
    const startedAt = at(-1);
    const before: ReadinessReport = {
      operationId: '1',
      startedAt,
      durationMs: 1,
      overall: 'warning',
      comparedWith: null,
      checks,
    };
    const sides = { primary: side(SOUND), secondary: side(SECONDARY) };
    const line = evaluate(sides, REQUIREMENTS, before).find(({ name }) => name === 'SYSTEM - TIME ZONE');
    expect(line).toMatchObject({ status: 'passed', previous: { status: 'warning', secondary: 'Asia/Tokyo' } });
  });
});

describe('closed ports', () => {
  const sees = (...ports: [string, number, string | null][]) =>
    side({ ...SOUND, peerPorts: { value: ports.map(([use, port, problem]) => ({ use, port, problem })) } });
  const seenBy = sees(['pair link', 7422, 'no sign'], ['Health Monitor', 8082, null], ['database', 5432, 'refused']);
  const listener = at5432('refused');
  const stopped = { value: { ...SOUND.database.value, running: false } };

  it('are those which the other server does not reach', () => {
    expect(closedPorts({ of: side(SOUND), seenBy })).toEqual([7422, 5432]);
    expect(closedPorts({ of: side({ ...SOUND, listener }), seenBy })).toEqual([7422, 5432]);
  });

  it('are not those at which nothing listens', () => {
    expect(closedPorts({ of: side({ ...SOUND, listener, database: stopped }), seenBy })).toEqual([7422]);
  });

  it('are not known of a server that gives no answer, or to one that looks at none', () => {
    expect(closedPorts({ of: { missing: 'gone' }, seenBy })).toEqual([]);
    expect(closedPorts({ of: side(SOUND), seenBy: { missing: 'gone' } })).toEqual([]);
    expect(closedPorts({ of: side(SOUND), seenBy: side({}) })).toEqual([]);
  });
});
