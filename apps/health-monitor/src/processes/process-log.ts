import { copyFileSync, mkdirSync, openSync, renameSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';

const LARGEST_LOG_BYTES = 10 * 1024 * 1024;
const KEPT_LOGS = 3;

/** Opens the log for a process to write to by itself: it goes on writing when its manager is gone. The caller closes it. */
export function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  return openSync(file, 'a', 0o640);
}

/**
 * Keeps a log below `limitBytes` with three older ones beside it (`.1` the newest). The process keeps the file open, so its content is
 * copied and cut off; lines written between the two are lost. A failure (disk full) leaves the log as it is.
 */
export function rotateLog(file: string, limitBytes = LARGEST_LOG_BYTES): void {
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= limitBytes) return;
    for (let age = KEPT_LOGS - 1; age >= 1; age -= 1) {
      if (statSync(`${file}.${age}`, { throwIfNoEntry: false })) renameSync(`${file}.${age}`, `${file}.${age + 1}`);
    }
    copyFileSync(file, `${file}.1`);
    truncateSync(file);
  } catch {
    // The next look tries again; the storage watch tells of a full disk.
  }
}
