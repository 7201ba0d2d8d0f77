import { describe, expect, it } from '@jest/globals';
import type { Measurements, ReadinessReport } from '@understudy/contracts';
import type { Requirements, Side } from './check.ts';
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
  userIds: { value: { postgres: '101:103' } },
  certificate: { value: { validFrom: at(-1), validTo: at(3650), nowUnixMs: NOW } },
  healthMonitor: { value: 'ready' },
  networkInterface: { value: { name: 'eth0', mtu: 1500, megabitsPerSecond: 10_000 } },
  databaseVersion: { value: '15.8' },
  database: { value: { role: 'read-write', running: true, usable: true, streaming: true, lagBytes: 0 } },
} satisfies Measurements;
const STANDBY = { value: { ...SOUND.database.value, role: 'standby' } };
const SECONDARY = { ...SOUND, database: STANDBY } satisfies Measurements;

const side = (measurements: Measurements): Side => ({ measurements });
const judged = (primary: Side, secondary: Side) => evaluate({ primary, secondary }, REQUIREMENTS, null);

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
  ['SYSTEM - USER IDS', 'warning', { userIds: { value: { postgres: '999:999' } } }, /101:103 and 999:999/],
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
