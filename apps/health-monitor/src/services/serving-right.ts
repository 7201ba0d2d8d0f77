import { rename, writeFile } from 'node:fs/promises';
import {
  formatServingNote,
  isDiskFull,
  overwriteInPlace,
  readServingNote,
  type ServingNote,
} from '@understudy/platform';

/** Always the same length, so that it can be replaced where it lies. Twice what two addresses of the greatest length take. */
const NOTE_BYTES = 512;

/**
 * Until when this server may serve, and its virtual IP, as a file beside its other run-time files: for the next manager of this run, and
 * for the runner, which closes the server when its manager does not. On this machine's monotonic clock. Written without waiting: a disk
 * that hangs must not hold up a decision. Written also when the disk is full: an old note would say that the right has ended.
 */
export class ServingRight {
  /** What an earlier manager of this run has noted; 0: nothing. */
  readonly untilMs: number;
  private noted = '';
  private writing: Promise<void> | null = null;

  constructor(
    private readonly file: string,
    private readonly runId: string,
    private readonly virtualIp: () => ServingNote['virtualIp'],
  ) {
    this.untilMs = readServingNote(file, runId)?.untilMs ?? 0;
  }

  /** `untilMs` null: it does not serve, or may serve without limit. */
  note(untilMs: number | null): void {
    const note = formatServingNote(this.runId, { untilMs, virtualIp: this.virtualIp() }).padEnd(NOTE_BYTES);
    if (note === this.noted) return;
    this.noted = note;
    this.writing ??= this.write().finally(() => {
      this.writing = null;
    });
  }

  private async write(): Promise<void> {
    for (let note = ''; note !== this.noted; ) {
      note = this.noted;
      // never half a note; that it survives a power loss is not needed
      await writeFile(`${this.file}.new`, note, { mode: 0o600 })
        .then(() => rename(`${this.file}.new`, this.file))
        .catch((error: unknown) => (isDiskFull(error) ? overwriteInPlace(this.file, note) : undefined))
        .catch(() => undefined);
    }
  }
}
