import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const RecordSchema = z.object({
  name: z.string(),
  pid: z.int(),
  startTime: z.int(),
  bootId: z.string(),
  startedAtUnixMs: z.number(),
  /** Of command, environment, directory and user: a process that was started otherwise than configured now is not adopted. */
  digest: z.string(),
});

/** What is known of a started process beyond the life of its manager. */
export type ProcessRecord = z.infer<typeof RecordSchema>;

/** The pid files of the application's processes, one each. What is damaged counts as absent. */
export class ProcessRecords {
  constructor(readonly directory: string) {}

  /** All records, whether the process is configured or not. */
  all(): ProcessRecord[] {
    try {
      return readdirSync(this.directory).flatMap((entry) => {
        const record = entry.endsWith('.json') ? this.readFile(join(this.directory, entry)) : null;
        return record ? [record] : [];
      });
    } catch {
      return [];
    }
  }

  read(name: string): ProcessRecord | null {
    const record = this.readFile(this.fileOf(name));
    return record?.name === name ? record : null;
  }

  write(record: ProcessRecord): void {
    mkdirSync(this.directory, { recursive: true });
    const file = this.fileOf(record.name);
    writeFileSync(`${file}.tmp`, `${JSON.stringify(record)}\n`);
    renameSync(`${file}.tmp`, file);
  }

  /** One that stays, on a disk that cannot be written say, names a process that is gone, and counts for nothing. */
  remove(name: string): void {
    try {
      rmSync(this.fileOf(name), { force: true });
    } catch {
      // as above
    }
  }

  private fileOf(name: string): string {
    return join(this.directory, `${fileNameOf(name)}.json`);
  }

  private readFile(file: string): ProcessRecord | null {
    try {
      return RecordSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch {
      return null;
    }
  }
}

/** A file name for a process: the name itself where that is harmless, otherwise made harmless and told apart by a hash. */
export function fileNameOf(name: string): string {
  const harmless = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_');
  return harmless === name ? name : `${harmless}-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}
