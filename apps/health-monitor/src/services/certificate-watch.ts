import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Logger, writeFileAtomically } from '@understudy/platform';
import { z } from 'zod';
import type { NewEvent } from '../domain/event-text.ts';

const LOOK_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;
/** Days before its end at which a certificate is told of, fewest first; 0: it is over. */
const THRESHOLD_DAYS = [0, 1, 7, 30];
const CRITICAL_DAYS = 1;
const LevelsSchema = z.record(z.string(), z.number());

/** One certificate that the pair rests on. */
export interface WatchedCertificate {
  /** `own` or `peer`: a renewed one is the same to the watch. */
  readonly key: string;
  /** For people: `the certificate of alpha`. */
  readonly title: string;
  readonly certificatePem: string;
}

/**
 * Tells 30, 7 and 1 day before it ends that a certificate ends, that it has ended, and that it was renewed. Each is told once, also over
 * restarts. Decides nothing.
 */
export class CertificateWatch {
  /** The threshold that was told last, by key; absent: none. */
  private levels: Record<string, number> = {};
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();

  /** @param file keeps what was told over a restart of this service */
  constructor(
    private readonly certificates: () => Promise<readonly WatchedCertificate[]>,
    private readonly note: (event: Pick<NewEvent, 'severity' | 'code' | 'message'>) => void,
    private readonly file: string,
    private readonly unixMs: () => number,
    private readonly logger: Logger,
  ) {}

  /** Begins to watch; the first look is at once, the others every hour. */
  async start(): Promise<void> {
    this.levels = await this.readLevels();
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref();
    await this.look();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Looks now, after the look that is under way: something may have been renewed. Never rejects. */
  look(): Promise<void> {
    this.looking = this.looking
      .then(() => this.lookNow())
      .catch((error: unknown) => this.logger.error('The certificates could not be looked at', { error }));
    return this.looking;
  }

  private async lookNow(): Promise<void> {
    const before = JSON.stringify(this.levels);
    const present = await this.certificates();
    for (const certificate of present) this.judge(certificate);
    // one that is no longer there, its pair was removed, is nothing to tell of
    const keys = new Set(present.map(({ key }) => key));
    this.levels = Object.fromEntries(Object.entries(this.levels).filter(([key]) => keys.has(key)));
    if (JSON.stringify(this.levels) !== before) await this.keepLevels();
  }

  private judge({ key, title, certificatePem }: WatchedCertificate): void {
    const { validToDate } = new X509Certificate(certificatePem);
    const daysLeft = (validToDate.getTime() - this.unixMs()) / DAY_MS;
    const level = THRESHOLD_DAYS.find((days) => daysLeft <= days);
    const before = this.levels[key];
    if (level === before) return;
    const until = `${title}: valid until ${validToDate.toISOString()}`;
    if (level === undefined) {
      delete this.levels[key];
      this.note({ severity: 'info', code: 'certificate-clear', message: until });
      return;
    }
    this.levels[key] = level;
    const at = validToDate.toISOString();
    const message =
      level === 0
        ? `${title} has expired at ${at}: the other server does not take it any more`
        : `${title} expires within ${level} ${level === 1 ? 'day' : 'days'}, at ${at}`;
    this.note({
      severity: level <= CRITICAL_DAYS ? 'critical' : 'warning',
      code: level === 0 ? 'certificate-expired' : 'certificate-expires',
      message: `${message}. Renew it there with "understudy cert renew".`,
    });
  }

  private async readLevels(): Promise<Record<string, number>> {
    try {
      return LevelsSchema.parse(JSON.parse(await readFile(this.file, 'utf8')));
    } catch {
      // none yet, or damaged: what is near its end is told once more
      return {};
    }
  }

  /** A disk that is full may refuse it: then it is told once more after a restart. */
  private async keepLevels(): Promise<void> {
    await writeFileAtomically(this.file, JSON.stringify(this.levels)).catch((error: unknown) =>
      this.logger.warn('What was told of certificates could not be kept', { error }),
    );
  }
}
