import { randomBytes } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

interface FileOptions {
  readonly mode?: number;
  readonly owner?: { uid: number; gid: number };
}

/**
 * Puts a file in place whole or not at all, durably: temporary file in the same directory, fsync, rename, fsync of the directory.
 * `mode` defaults to 0644. Throws what the file system throws; then the old file is untouched.
 */
export async function writeFileAtomically(
  file: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<void> {
  await writeFilesTogether([{ file, content, ...options }]);
}

/**
 * The same for files of one directory that belong together: all are written before the first is put in place, in their order, so that a
 * full disk leaves the old ones, and only who looks between two renames sees half.
 */
export async function writeFilesTogether(
  files: readonly ({ readonly file: string; readonly content: string | Uint8Array } & FileOptions)[],
): Promise<void> {
  const written: { temporary: string; file: string }[] = [];
  try {
    for (const { file, content, ...options } of files) {
      const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
      written.push({ temporary, file });
      await writeDurably(temporary, content, options);
    }
    for (const { temporary, file } of written) await rename(temporary, file);
  } catch (error) {
    for (const { temporary } of written) await unlink(temporary).catch(() => undefined);
    throw error;
  }
  for (const directory of new Set(written.map(({ file }) => dirname(file)))) await syncDirectory(directory);
}

async function writeDurably(file: string, content: string | Uint8Array, { mode = 0o644, owner }: FileOptions) {
  const handle = await open(file, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.chmod(mode);
    if (owner) await handle.chown(owner.uid, owner.gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
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
