import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const FILES_PER_DIRECTORY = 200;
const MIB = 1024 * 1024;

/** Makes `count` files of `size` bytes, no two alike, 200 in a directory. */
export function makeSmallFiles(root: string, count: number, size: number): void {
  const content = randomBytes(size);
  for (let index = 0; index < count; index++) {
    const directory = join(root, `d${Math.floor(index / FILES_PER_DIRECTORY)}`);
    if (index % FILES_PER_DIRECTORY === 0) mkdirSync(directory, { recursive: true });
    content.writeUInt32LE(index);
    writeFileSync(join(directory, `file-${index}`), content);
  }
}

/** Makes one file of random bytes, which nothing compresses. */
export function makeLargeFile(file: string, mib: number): void {
  const fd = openSync(file, 'w');
  for (let written = 0; written < mib; written++) writeSync(fd, randomBytes(MIB));
  closeSync(fd);
}

/** Writes other bytes over 1 MiB in the middle. */
export function changeMiddle(file: string, mib: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, randomBytes(MIB), 0, MIB, Math.floor(mib / 2) * MIB + 12_345);
  closeSync(fd);
}
