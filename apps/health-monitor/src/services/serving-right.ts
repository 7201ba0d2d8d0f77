import { rename, writeFile } from 'node:fs/promises';
import { formatServingNote, isDiskFull, overwriteInPlace, readServingNote } from '@understudy/platform';

/** Always the same length, so that it can be replaced where it lies. */
const NOTE_BYTES = 256;

/**
 * Until when this server may serve, as a file beside its other run-time files: for the next manager of this run, and for the runner,
 * which closes the server when its manager does not. On this machine's monotonic clock. Written without waiting: a disk that hangs
 * must not hold up a decision. Written also when the disk is full: an old note would say that the right has ended.
 */
export class ServingRight {
  /** What an earlier manager of this run has noted; 0: nothing. */
  readonly untilMs: number;
  private noted: number | null | undefined;
  private writing: Promise<void> | null = null;

  constructor(
    private readonly file: string,
    private readonly runId: string,
  ) {
    this.untilMs = readServingNote(file, runId)?.untilMs ?? 0;
  }

  /** `untilMs` null: it does not serve, or may serve without limit. */
  note(untilMs: number | null): void {
    if (untilMs === this.noted) return;
    this.noted = untilMs;
    this.writing ??= this.write().finally(() => {
      this.writing = null;
    });
  }

  private async write(): Promise<void> {
    for (let written: number | null | undefined; written !== this.noted; ) {
      written = this.noted;
      const note = formatServingNote(this.runId, { untilMs: written ?? null }).padEnd(NOTE_BYTES);
      // never half a note; that it survives a power loss is not needed
      await writeFile(`${this.file}.new`, note, { mode: 0o600 })
        .then(() => rename(`${this.file}.new`, this.file))
        .catch((error: unknown) => (isDiskFull(error) ? overwriteInPlace(this.file, note) : undefined))
        .catch(() => undefined);
    }
  }
}
