import { type FSWatcher, type Stats, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type RelativePath, STAGING } from '../domain/entry.ts';

/** When what has come is told: so long after the last change, and at the latest so long after the first. */
export interface Gathering {
  readonly quietMs: number;
  readonly longestMs: number;
}

/** As soon as may be, and what comes close together at once. */
export const SOON: Gathering = { quietMs: 20, longestMs: 20 };
/** Files that belong together are written one after the other. */
export const TOGETHER: Gathering = { quietMs: 250, longestMs: 2000 };

const SETTLED_LOOK_MS = 10;

/** What hears of changes; the next are told when it has resolved. */
export interface ChangeListener {
  /** Paths at which something may have changed. */
  changed(paths: readonly RelativePath[]): Promise<void>;
  /** The system does not watch a directory, e.g. because its limit is reached. Told once. */
  refused(error: unknown): void;
}

/**
 * Follows directories by the operating system's notification (inotify), each by itself. What it misses, because a directory is not watched
 * or the system's queue has run over, the schedule finds.
 */
export class ChangeWatch {
  private readonly watched = new Map<RelativePath, { readonly identity: string; readonly watcher: FSWatcher }>();
  private readonly paths = new Set<RelativePath>();
  private timer: NodeJS.Timeout | null = null;
  private isTelling = false;
  private isRefused = false;
  private isClosed = false;
  private firstAtMs = 0;
  /** For as long as the last look took: a large file that is being written is not read again and again without a rest. */
  private restUntilMs = 0;

  constructor(
    private readonly listener: ChangeListener,
    private readonly gathering: Gathering,
  ) {}

  /** Follows a directory that is about to be read: what changes from now on is told. @param place where the opened directory is found */
  follow(directory: RelativePath, { ino, birthtimeMs }: Pick<Stats, 'ino' | 'birthtimeMs'>, place: string): void {
    // one that is made in the place of another often gets its inode
    const identity = `${ino} ${birthtimeMs}`;
    if (this.isClosed || this.watched.get(directory)?.identity === identity) return;
    this.forget(directory);
    try {
      const watcher = watch(place, { encoding: 'latin1', persistent: false }, (_, name) => this.note(directory, name));
      watcher.on('error', (error) => this.refuse(error));
      this.watched.set(directory, { identity, watcher });
    } catch (error) {
      this.refuse(error);
    }
  }

  /** It is no directory of the set any more. */
  forget(directory: RelativePath): void {
    this.watched.get(directory)?.watcher.close();
    this.watched.delete(directory);
  }

  /** All other directories have gone. */
  keepOnly(directories: ReadonlySet<RelativePath>): void {
    for (const directory of [...this.watched.keys()]) if (!directories.has(directory)) this.forget(directory);
  }

  /** Resolves when what is being written just now has been told, or after the longest time that this may take. */
  async settled(): Promise<void> {
    const endMs = performance.now() + this.gathering.longestMs;
    while (this.paths.size > 0 && !this.isClosed && performance.now() < endMs) await delay(SETTLED_LOOK_MS);
  }

  close(): void {
    this.isClosed = true;
    if (this.timer) clearTimeout(this.timer);
    this.keepOnly(new Set());
  }

  private refuse(error: unknown): void {
    if (this.isRefused || this.isClosed) return;
    this.isRefused = true;
    this.listener.refused(error);
  }

  private note(directory: RelativePath, name: string | null): void {
    if (name === null || (directory === '' && name === STAGING)) return;
    if (this.paths.size === 0) this.firstAtMs = performance.now();
    this.paths.add(directory === '' ? name : `${directory}/${name}`);
    this.tellSoon();
  }

  private tellSoon(): void {
    if (this.isTelling || this.isClosed || this.paths.size === 0) return;
    const { quietMs, longestMs } = this.gathering;
    const isFixed = quietMs === longestMs;
    if (this.timer !== null && isFixed) return;
    if (this.timer !== null) clearTimeout(this.timer);
    const nowMs = performance.now();
    const leftMs = Math.min(quietMs, this.firstAtMs + longestMs - nowMs);
    this.timer = setTimeout(() => void this.tell(), Math.max(this.restUntilMs - nowMs, leftMs, 0));
  }

  private async tell(): Promise<void> {
    this.timer = null;
    this.isTelling = true;
    const paths = [...this.paths];
    this.paths.clear();
    const begunAtMs = performance.now();
    await this.listener.changed(paths);
    const endedAtMs = performance.now();
    this.restUntilMs = endedAtMs + (endedAtMs - begunAtMs);
    this.isTelling = false;
    this.tellSoon();
  }
}
