import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';

const LARGEST_BYTES = 10 * 1024 * 1024;
const KEPT = 5;

/** A log file that is renamed away when it is full: file, file.1 … file.5. A disk that is full loses lines, never the server. */
export class RotatingLog {
  private stream: WriteStream | null = null;
  private bytes = 0;

  constructor(private readonly file: string) {}

  write(line: string): void {
    this.stream ??= this.open();
    this.bytes += Buffer.byteLength(line) + 1;
    this.stream.write(`${line}\n`);
    if (this.bytes > LARGEST_BYTES) this.rotate();
  }

  private open(): WriteStream {
    this.bytes = statSync(this.file, { throwIfNoEntry: false })?.size ?? 0;
    const stream = createWriteStream(this.file, { flags: 'a', mode: 0o640 });
    stream.on('error', () => {
      this.stream = null;
    });
    return stream;
  }

  private rotate(): void {
    this.stream?.end();
    this.stream = null;
    for (let number = KEPT - 1; number >= 0; number--) {
      try {
        renameSync(number === 0 ? this.file : `${this.file}.${number}`, `${this.file}.${number + 1}`);
      } catch {
        // that one does not exist yet
      }
    }
  }
}
