import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, release, totalmem, type } from 'node:os';
import { promisify } from 'node:util';
import { fileSystemUsage, type ServiceEnvironment } from '@understudy/platform';
import type { Probe } from '../ports/probe.port.ts';
import { accounts } from './accounts.ts';

const run = promisify(execFile);
const QUICK_MS = 5000;

/** What the machine says of itself: nothing is loaded, nothing is changed. */
export function machineProbes({ configuration, paths, clock, version }: ServiceEnvironment): Probe[] {
  const quick = (title: string, fields: Probe['fields'], measure: Probe['measure']): Probe => ({
    ...{ title, fields, measure },
    limitMs: QUICK_MS,
  });
  const { database, fileSets } = configuration;
  return [
    quick('release', ['release'], async () => ({ release: { value: version } })),
    // what a container may use, where that is less than what the machine has
    quick('processors', ['cpuCount'], async () => ({ cpuCount: { value: availableParallelism() } })),
    quick('memory', ['memoryBytes'], async () => ({ memoryBytes: { value: memoryBytes() } })),
    quick('operating system', ['operatingSystem'], async () => {
      const kernel = `${type()} ${release()}`;
      return { operatingSystem: { value: { name: await systemName(), kernel, architecture: arch() } } };
    }),
    quick('shared memory', ['sharedMemoryBytes'], async () => {
      const { mountPoint, sizeBytes } = await fileSystemUsage('/dev/shm', QUICK_MS);
      if (mountPoint !== '/dev/shm') throw new Error('/dev/shm is no file system of its own');
      return { sharedMemoryBytes: { value: sizeBytes } };
    }),
    quick('time zone', ['timeZone'], async () => ({
      timeZone: { value: new Intl.DateTimeFormat().resolvedOptions().timeZone },
    })),
    quick('time service', ['clockSynchronised'], async (signal) => ({
      clockSynchronised: { value: await isClockSynchronised(signal) },
    })),
    quick('kernel limits', ['kernelLimits'], async () => ({ kernelLimits: { value: await kernelLimits() } })),
    quick('mandatory access control', ['mandatoryAccessControl'], async () => ({
      mandatoryAccessControl: { value: await mandatoryAccessControl() },
    })),
    quick('user ids', ['accounts'], async (signal) => ({
      accounts: { value: await accounts(database.osUser, fileSets, signal) },
    })),
    quick('certificate', ['certificate'], async () => {
      const certificate = new X509Certificate(await readFile(paths.certificate));
      const [validFrom, validTo] = [certificate.validFrom, certificate.validTo].map((at) => new Date(at).toISOString());
      return {
        certificate: {
          value: { validFrom: validFrom as string, validTo: validTo as string, nowUnixMs: clock.unixMs() },
        },
      };
    }),
  ];
}

/** What this process may use: less than the machine has where a control group limits it. */
function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

async function systemName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8');
  const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1];
  if (name === undefined) throw new Error('/etc/os-release names no release');
  return name;
}

/** As the time service tells systemd; a machine without either cannot be asked. */
async function isClockSynchronised(signal: AbortSignal): Promise<boolean> {
  const { stdout } = await run('timedatectl', ['show', '--property', 'NTPSynchronized', '--value'], { signal }).catch(
    () => {
      throw new Error('timedatectl gives no answer on this machine');
    },
  );
  return stdout.trim() === 'yes';
}

async function kernelLimits() {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const openFiles = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return {
    openFiles: openFiles === undefined || openFiles === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(openFiles),
    overcommitMemory: Number(await readFile('/proc/sys/vm/overcommit_memory', 'utf8')),
  };
}

async function mandatoryAccessControl(): Promise<string> {
  const textOf = (file: string) =>
    readFile(file, 'utf8').then(
      (text) => text.trim(),
      () => null,
    );
  const enforced = await textOf('/sys/fs/selinux/enforce');
  if (enforced !== null) return enforced === '1' ? 'SELinux enforcing' : 'SELinux permissive';
  return (await textOf('/sys/module/apparmor/parameters/enabled')) === 'Y' ? 'AppArmor' : 'none';
}
