import { randomBytes } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Puts a file in place whole or not at all, durably: temporary file in the same directory, fsync, rename, fsync of the directory.
 * `mode` defaults to 0644. Throws what the file system throws; then the old file is untouched.
 */
export async function writeFileAtomically(
  file: string,
  content: string | Uint8Array,
  options: { mode?: number; owner?: { uid: number; gid: number } } = {},
): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await handle.writeFile(content);
      await handle.chmod(options.mode ?? 0o644);
      if (options.owner) await handle.chown(options.owner.uid, options.owner.gid);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(file));
}

/** Whether an operation has failed because there is no room on the disk. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Overwrites a file where it lies, which needs no room when the content is not longer than what is there. Throws when it is not there. */
export async function overwriteInPlace(file: string, content: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.write(content, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a rename, a new or a removed file in the directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
