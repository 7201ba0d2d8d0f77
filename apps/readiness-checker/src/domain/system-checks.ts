import type { FileSystem } from '@understudy/contracts';
import { check, failed, warning } from './check.ts';
import { rounded, sizeText } from './text.ts';

/** Spec: "Check Readiness for HA Configuration". */
const DISK_MEGABYTES_PER_SECOND = 200;
const CLOCK_DIFFERENCE_MS_MAX = 1000;
const OPEN_FILES_MIN = 4096;
const CERTIFICATE_DAYS_MIN = 30;
const DAY_MS = 86_400_000;

const hasNone = (what: string) => failed(`no file system was found for ${what}`);
const databaseOf = (all: readonly FileSystem[]) => all.find(({ uses }) => uses.includes('database'));

/** What is looked at on the machines themselves. */
export const SYSTEM_CHECKS = [
  check({
    name: 'SYSTEM - CHECK CPU COUNT',
    group: 'SYSTEM',
    lists: ['registration'],
    field: 'cpuCount',
    impact: 'The application may be too slow on that server after a takeover.',
    recommendation: 'Give that server more CPUs, or correct readiness.cpus.',
    show: (count) => `${count} CPUs`,
    each: (count, { cpus }) => (count < cpus ? failed(`${count} CPUs, ${cpus} are required`) : null),
    both: (primary, secondary) =>
      secondary < primary ? warning(`the secondary has ${secondary} CPUs, the primary ${primary}`) : null,
  }),
  check({
    name: 'SYSTEM - CHECK DISK IOPS',
    group: 'SYSTEM',
    lists: ['registration', 'failover'],
    field: 'diskSpeed',
    impact: 'The standby falls behind under load, and a full copy takes long.',
    recommendation: 'Move the database of that server to a faster disk.',
    show: ({ writeMegabytesPerSecond: write, readMegabytesPerSecond: read }) =>
      `writes ${rounded(write)} MB/s, reads ${read === null ? 'not measured' : `${rounded(read)} MB/s`}`,
    each: ({ writeMegabytesPerSecond: write, readMegabytesPerSecond: read }) => {
      const slow = Object.entries({ writes: write, reads: read ?? Number.POSITIVE_INFINITY })
        .filter(([, speed]) => speed < DISK_MEGABYTES_PER_SECOND)
        .map(([what, speed]) => `${what} ${rounded(speed)} MB/s`);
      return slow.length > 0 ? failed(`${slow.join(', ')}; ${DISK_MEGABYTES_PER_SECOND} MB/s are required`) : null;
    },
  }),
  check({
    name: 'SYSTEM - CHECK RAM SIZE',
    group: 'SYSTEM',
    lists: ['registration'],
    field: 'memoryBytes',
    impact: 'The application or the database may run out of memory on that server after a takeover.',
    recommendation: 'Give that server more memory, or correct readiness.memory.',
    show: sizeText,
    each: (bytes, { memory }) =>
      bytes < memory ? failed(`${sizeText(bytes)}, ${sizeText(memory)} are required`) : null,
    // machines of one kind differ by some megabytes
    both: (primary, secondary) =>
      secondary < primary * 0.95
        ? warning(`the secondary has ${sizeText(secondary)}, the primary ${sizeText(primary)}`)
        : null,
  }),
  check({
    name: 'SYSTEM - CHECK DISK SIZE',
    group: 'SYSTEM',
    lists: ['registration'],
    field: 'fileSystems',
    impact: 'The database may outgrow that server.',
    recommendation: 'Enlarge the disk of the database there, or correct readiness.disk.',
    show: (all) => {
      const disk = databaseOf(all);
      return disk === undefined ? 'none' : `${sizeText(disk.sizeBytes)} at ${disk.mountPoint}`;
    },
    each: (all, required) => {
      const disk = databaseOf(all);
      if (disk === undefined) return hasNone('the database');
      const { sizeBytes, mountPoint } = disk;
      return sizeBytes < required.disk
        ? failed(`${sizeText(sizeBytes)} at ${mountPoint}, ${sizeText(required.disk)} are required`)
        : null;
    },
    both: (primary, secondary) => {
      const [first, second] = [primary, secondary].map((all) => databaseOf(all)?.sizeBytes ?? 0) as [number, number];
      return second < first * 0.95
        ? warning(`the disk of the secondary has ${sizeText(second)}, that of the primary ${sizeText(first)}`)
        : null;
    },
  }),
  check({
    name: 'SYSTEM - CHECK SERVER PING REACHABILITY',
    group: 'SYSTEM',
    lists: ['registration'],
    field: 'ping',
    impact: 'Where no ping comes through the way between the servers may be cut, or filtered.',
    recommendation: 'Let ICMP echo through between the servers, and see why packets are lost.',
    show: ({ lossPercent, roundTripMs }) =>
      `${rounded(lossPercent)} % lost${roundTripMs === null ? '' : `, ${rounded(roundTripMs)} ms`}`,
    each: ({ lossPercent }) => {
      if (lossPercent === 0) return null;
      return lossPercent === 100
        ? failed('the other server answers no ping')
        : warning(`${rounded(lossPercent)} % of the pings to the other server are lost`);
    },
  }),
  check({
    name: 'SYSTEM - CHECK OS COMPATIBILITY',
    group: 'SYSTEM',
    lists: ['registration'],
    field: 'operatingSystem',
    impact: 'A database copied to another system may sort text differently there, and find less than it holds.',
    recommendation: 'Install the same release of the operating system on both servers.',
    show: ({ name, kernel, architecture }) => `${name}, ${kernel}, ${architecture}`,
    both: (primary, secondary) => {
      if (primary.architecture !== secondary.architecture)
        return failed(`the processors differ: ${primary.architecture} and ${secondary.architecture}`);
      return primary.name === secondary.name
        ? null
        : failed(`the primary runs ${primary.name}, the secondary ${secondary.name}`);
    },
  }),
  check({
    name: 'SYSTEM - HEALTH MONITOR STATUS',
    group: 'SYSTEM',
    lists: ['registration'],
    field: 'healthMonitor',
    impact: 'That server cannot be registered, and does not take over.',
    recommendation: 'See the logs of health-monitor there; "understudy node status" shows its parts.',
    show: (state) => state,
    each: (state) => (state === 'ready' ? null : failed(`health-monitor is ${state}`)),
    failsWhenSilent: true,
  }),
  check({
    name: 'SYSTEM - RELEASE OF UNDERSTUDY',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'release',
    impact: 'Servers of different releases cannot be registered as a pair.',
    recommendation: 'Install the same release on both servers.',
    show: (release) => release,
    both: (primary, secondary) => {
      if (primary === secondary) return null;
      const difference = `the primary runs ${primary}, the secondary ${secondary}`;
      const series = (release: string) => release.split('.').slice(0, 2).join('.');
      return series(primary) === series(secondary) ? warning(difference) : failed(difference);
    },
  }),
  check({
    name: 'SYSTEM - FREE DISK AND INODES',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'fileSystems',
    impact: 'A server whose disk is full cannot write: the database stops.',
    recommendation: 'Free room, or enlarge the file system.',
    show: (all) =>
      all.map(({ mountPoint, usedPercent }) => `${mountPoint} ${Math.round(usedPercent)} % used`).join(', '),
    each: (all, { warnPercent }) => {
      const full = all.flatMap(({ mountPoint, usedPercent, usedInodesPercent }) => [
        ...(usedPercent >= warnPercent ? [`${mountPoint} is ${Math.round(usedPercent)} % used`] : []),
        ...((usedInodesPercent ?? 0) >= warnPercent
          ? [`${Math.round(usedInodesPercent ?? 0)} % of the inodes of ${mountPoint} are used`]
          : []),
      ]);
      return full.length > 0 ? warning(full.join(', ')) : null;
    },
  }),
  check({
    name: 'SYSTEM - CLOCK DIFFERENCE',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'unixMs',
    impact: 'Nothing is decided by the clock, but the logs of the two servers cannot be compared.',
    recommendation: 'Have both clocks kept by the same time service (chrony, systemd-timesyncd).',
    show: (unixMs) => new Date(unixMs).toISOString(),
    both: (primary, secondary) => {
      const difference = secondary - primary;
      if (Math.abs(difference) <= CLOCK_DIFFERENCE_MS_MAX) return null;
      const seconds = rounded(Math.abs(difference) / 1000);
      return warning(`the clock of the secondary is ${seconds} s ${difference > 0 ? 'ahead' : 'behind'}`);
    },
  }),
  check({
    name: 'SYSTEM - TIME SERVICE',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'clockSynchronised',
    impact: 'The clock of that server drifts away.',
    recommendation: 'Install and start a time service (chrony, systemd-timesyncd) there.',
    show: (synchronised) => (synchronised ? 'synchronised' : 'not synchronised'),
    each: (synchronised) => (synchronised ? null : warning('no time service keeps the clock')),
  }),
  check({
    name: 'SYSTEM - TIME ZONE',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'timeZone',
    impact: 'The application shows and schedules by another time of day after a takeover.',
    recommendation: 'Set the same time zone on both servers (timedatectl set-timezone).',
    show: (zone) => zone,
    both: (primary, secondary) =>
      primary === secondary ? null : warning(`the primary is in ${primary}, the secondary in ${secondary}`),
  }),
  check({
    name: 'SYSTEM - KERNEL LIMITS',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'kernelLimits',
    impact: 'Under load that server runs out of file handles, or the kernel kills its database.',
    recommendation:
      'Raise LimitNOFILE of the service; set vm.overcommit_memory = 2 for a database that must not be killed.',
    show: ({ openFiles, overcommitMemory }) => `${openFiles} open files, vm.overcommit_memory ${overcommitMemory}`,
    each: ({ openFiles, overcommitMemory }) => {
      if (openFiles < OPEN_FILES_MIN) return warning(`${openFiles} open files, ${OPEN_FILES_MIN} are advised`);
      return overcommitMemory === 1 ? warning('vm.overcommit_memory is 1: the kernel promises memory it lacks') : null;
    },
    both: (primary, secondary) =>
      primary.overcommitMemory === secondary.overcommitMemory
        ? null
        : warning(`vm.overcommit_memory is ${primary.overcommitMemory} and ${secondary.overcommitMemory}`),
  }),
  check({
    name: 'SYSTEM - USER IDS',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'accounts',
    impact: 'Files that are synchronised or copied belong to another user on the other server.',
    recommendation: 'Give these users and groups the same ids on both servers (usermod -u, groupmod -g).',
    show: ({ used, known }) => used.map((name) => `${name} ${known[name] ?? 'unknown'}`).join(', '),
    both: (primary, secondary) => {
      const names = [...new Set([...primary.used, ...secondary.used])];
      const different = names.filter((name) => primary.known[name] !== secondary.known[name]);
      if (different.length === 0) return null;
      const id = (known: Readonly<Record<string, number>>, name: string) => known[name] ?? 'unknown';
      return warning(
        different.map((name) => `${name} is ${id(primary.known, name)} and ${id(secondary.known, name)}`).join(', '),
      );
    },
  }),
  check({
    name: 'SYSTEM - MANDATORY ACCESS CONTROL',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'mandatoryAccessControl',
    impact: 'What works on one server may be denied on the other.',
    recommendation: 'Set up both servers alike, and allow PostgreSQL its data directory and port.',
    show: (kind) => kind,
    each: (kind) =>
      kind === 'SELinux enforcing'
        ? warning('SELinux denies PostgreSQL paths and ports that are not its usual ones')
        : null,
    both: (primary, secondary) =>
      primary === secondary ? null : warning(`${primary} on the primary, ${secondary} on the secondary`),
  }),
  check({
    name: 'SYSTEM - CERTIFICATE VALIDITY',
    group: 'SYSTEM',
    lists: ['further'],
    field: 'certificate',
    impact: 'When it has expired the servers do not trust each other any more.',
    recommendation: 'Renew the certificate of that server with "understudy cert renew" before it expires.',
    show: ({ validTo }) => `valid until ${validTo}`,
    each: ({ validFrom, validTo, nowUnixMs }) => {
      if (nowUnixMs < Date.parse(validFrom)) return failed(`not valid before ${validFrom}`);
      const days = Math.floor((Date.parse(validTo) - nowUnixMs) / DAY_MS);
      if (days < 0) return failed(`expired on ${validTo}`);
      return days < CERTIFICATE_DAYS_MIN ? warning(`expires in ${days} days`) : null;
    },
  }),
];
