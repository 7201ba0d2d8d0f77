import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const BALLAST = 'ballast';

/** A disk of its own for one server's data, small enough to be filled. It is in memory, and outlives the death of its host. */
export class SmallDisk {
  private constructor(private readonly directory: string) {}

  /** Mounts an empty disk at `directory`. The stage takes it away when it is destroyed. */
  static mount(directory: string, mebibytes: number): SmallDisk {
    mkdirSync(directory, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=755`, 'understudy-e2e', directory]);
    return new SmallDisk(directory);
  }

  /** Takes what room is left with a ballast file; asked again, it grows by what was freed meanwhile. True when there is none left. */
  async fill(): Promise<boolean> {
    const { bavail, bsize } = statfsSync(this.directory);
    if (bavail === 0) return true;
    const ballast = join(this.directory, BALLAST);
    const size = statSync(ballast, { throwIfNoEntry: false })?.size ?? 0;
    // somebody else may take room at the same moment: then nothing is taken, and the next look takes what is left
    await promisify(execFile)('fallocate', ['-l', String(size + bavail * bsize), ballast]).catch(() => {});
    return statfsSync(this.directory).bavail === 0;
  }

  /** Removes the ballast. */
  free(): void {
    rmSync(join(this.directory, BALLAST), { force: true });
  }
}

/** Takes away what is mounted below a directory. Whoever still uses it keeps it until it ends. */
export function unmountBelow(directory: string): void {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(`${directory}/`));
  for (const place of mounted.toReversed()) execFileSync('umount', ['-l', place]);
}
