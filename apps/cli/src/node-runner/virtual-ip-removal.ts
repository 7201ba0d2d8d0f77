import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { type ServingNote, searchPath } from '@understudy/platform';

const COMMAND_LIMIT_MS = 2000;

/**
 * Takes a virtual IP away in the health monitor's place. Its lifetime is over by then, but the kernel may be late: the timer by which it
 * looks at lifetimes does not wake an idle processor (measured: up to 1.9 s).
 */
export class VirtualIpRemoval {
  private readonly underWay = new Set<string>();

  /** Asks for it without waiting; what cannot be removed is tried again with the next call. */
  remove(virtualIp: NonNullable<ServingNote['virtualIp']>): void {
    const carried = networkInterfaces()[virtualIp.interface] ?? [];
    for (const { cidr } of carried) {
      if (cidr === null || !virtualIp.prefixes.includes(cidr) || this.underWay.has(cidr)) continue;
      this.underWay.add(cidr);
      const options = {
        timeout: COMMAND_LIMIT_MS,
        killSignal: 'SIGKILL',
        env: { ...process.env, PATH: searchPath() },
      } as const;
      execFile('ip', ['address', 'delete', cidr, 'dev', virtualIp.interface], options, () =>
        this.underWay.delete(cidr),
      );
    }
  }
}
