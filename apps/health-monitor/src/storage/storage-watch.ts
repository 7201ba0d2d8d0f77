import { readFile } from 'node:fs/promises';
import { type Clock, fileSystemUsage, type Logger, type Place, writeFileAtomically } from '@understudy/platform';
import { z } from 'zod';
import type { NewEvent } from '../domain/event-text.ts';
import {
  type StorageLevel,
  type StorageSample,
  type StorageThresholds,
  secondsLeft,
  sizeText,
  storageLevel,
  timeText,
  withSample,
} from '../domain/storage-level.ts';

const LOOK_LIMIT_MS = 10_000;
const LevelsSchema = z.record(z.string(), z.enum(['clear', 'warning', 'critical']));

/** What the watch needs of its server. */
export interface StorageWatchOptions extends StorageThresholds {
  readonly checkSeconds: number;
  readonly places: readonly Place[];
  /** Keeps the levels over a restart of this service, so that what has cleared meanwhile is told too. */
  readonly file: string;
}

/** One thing that can run out: the space or the inodes of a file system. */
interface Resource {
  readonly key: string;
  /** For people: `space of / (data, database)`. */
  readonly title: string;
  readonly usedPercent: number;
  /** What is left, for people; empty where there is nothing to add. */
  readonly rest: string;
}

/**
 * Looks at every file system that matters and tells when one runs full, fuller, and clear again, with the time left at the present
 * rate. Decides nothing. A file system that does not answer is told too, and keeps nobody waiting.
 */
export class StorageWatch {
  private levels = new Map<string, StorageLevel>();
  private readonly samples = new Map<string, StorageSample[]>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;

  constructor(
    private readonly options: StorageWatchOptions,
    private readonly note: (event: Pick<NewEvent, 'severity' | 'code' | 'message'>) => void,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Begins to watch; the first look is at once. */
  async start(): Promise<void> {
    this.levels = new Map(Object.entries(await this.readLevels()));
    this.timer = setInterval(() => void this.look(), this.options.checkSeconds * 1000);
    void this.look();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** One look at all places; asked while one is under way, it waits for that. */
  look(): Promise<void> {
    this.looking ??= this.lookNow()
      .catch((error: unknown) => this.logger.error('The file systems could not be looked at', { error }))
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  private async lookNow(): Promise<void> {
    const resources = await this.resources();
    const changed = resources.map((resource) => this.judge(resource)).includes(true);
    if (changed) await this.keepLevels();
  }

  private async resources(): Promise<Resource[]> {
    const looks = this.options.places.map(async (place) => {
      try {
        return { ...place, usage: await fileSystemUsage(place.path, LOOK_LIMIT_MS) };
      } catch (error) {
        return { ...place, problem: error instanceof Error ? error.message : String(error) };
      }
    });
    const found = await Promise.all(looks);
    const resources = new Map<string, Resource>();
    for (const look of found) {
      this.judgeAnswer(look.use, 'problem' in look ? look.problem : null);
      if ('problem' in look) continue;
      const { mountPoint, usedPercent, usedInodesPercent, availableBytes } = look.usage;
      const uses = found.filter((other) => 'usage' in other && other.usage.mountPoint === mountPoint);
      const of = `of ${mountPoint} (${uses.map(({ use }) => use).join(', ')})`;
      const rest = `, ${sizeText(availableBytes)} free`;
      resources.set(`space ${mountPoint}`, { key: `space ${mountPoint}`, title: `space ${of}`, usedPercent, rest });
      if (usedInodesPercent === null) continue;
      const inodes = { key: `inodes ${mountPoint}`, title: `inodes ${of}`, usedPercent: usedInodesPercent, rest: '' };
      resources.set(inodes.key, inodes);
    }
    return [...resources.values()];
  }

  /** True when the level has changed. */
  private judge({ key, title, usedPercent, rest }: Resource): boolean {
    const samples = withSample(this.samples.get(key) ?? [], { atMs: this.clock.nowMs(), usedPercent });
    this.samples.set(key, samples);
    const before = this.levels.get(key) ?? 'clear';
    const level = storageLevel(usedPercent, before, this.options);
    if (level === before) return false;
    this.levels.set(key, level);
    const left = secondsLeft(samples);
    const time = left === null ? '' : `; all is used in about ${timeText(left)} at the present rate`;
    const message = `${title}: ${Math.floor(usedPercent)} % used${rest}${time}`;
    if (level === 'clear') this.note({ severity: 'info', code: 'storage-clear', message });
    else this.note({ severity: level, code: `storage-${level}`, message });
    return true;
  }

  private judgeAnswer(use: string, problem: string | null): void {
    const key = `answer ${use}`;
    const wasSilent = this.levels.get(key) === 'critical';
    if ((problem !== null) === wasSilent) return;
    this.levels.set(key, problem === null ? 'clear' : 'critical');
    if (problem === null)
      this.note({ severity: 'info', code: 'storage-answers', message: `${use}: the file system answers again` });
    else this.note({ severity: 'critical', code: 'storage-silent', message: `${use}: ${problem}` });
  }

  private async readLevels(): Promise<Record<string, StorageLevel>> {
    try {
      return LevelsSchema.parse(JSON.parse(await readFile(this.options.file, 'utf8')));
    } catch {
      // none yet, or damaged: what is low is told once more
      return {};
    }
  }

  /** A disk that is full may refuse it: then what is low is told once more after a restart. */
  private async keepLevels(): Promise<void> {
    const levels = Object.fromEntries([...this.levels].filter(([key]) => !key.startsWith('answer ')));
    await writeFileAtomically(this.options.file, JSON.stringify(levels)).catch((error: unknown) =>
      this.logger.warn('The levels of the file systems could not be kept', { error }),
    );
  }
}
