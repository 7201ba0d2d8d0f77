import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { FILE_CALLS } from '../ports/file-calls.ts';

/** Few names, so that operations meet. */
const NAMES = ['a', 'b', 'c', 'd/a', 'd/b', 'd/e/a', 'f/a', 'd', 'f', 'g\n\u00ff'] as const;

/** Something that is done to a tree. */
export const Operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), name: name(), length: fc.nat(3000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: name() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename' as const), name: name(), to: name() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), name: name(), to: name() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('directory' as const), name: name() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('mode' as const), name: name(), mode: fc.constantFrom(0o600, 0o755) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('attribute' as const), name: name(), value: fc.nat(3) }) },
);
export type Operation = typeof Operation extends fc.Arbitrary<infer T> ? T : never;

function name() {
  return fc.constantFrom(...NAMES);
}

let versions = 0;

/** Does one operation on a tree, whatever is in its way. What is written is written once only. */
export function operate(root: string, operation: Operation): void {
  const at = (path: string) => Buffer.from(join(root, path), 'latin1');
  const parent = (path: string) => at(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.');
  try {
    if (operation.kind === 'remove') {
      rmSync(at(operation.name), { recursive: true, force: true });
      return;
    }
    mkdirSync(parent(operation.kind === 'rename' ? operation.to : operation.name), { recursive: true });
    if (operation.kind === 'rename') renameSync(at(operation.name), at(operation.to));
    if (operation.kind === 'directory') mkdirSync(at(operation.name), { recursive: true });
    if (operation.kind === 'link') symlinkSync(operation.to, at(operation.name));
    if (operation.kind === 'mode') chmodSync(at(operation.name), operation.mode);
    if (operation.kind === 'attribute') {
      const fd = openSync(at(operation.name), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        if (operation.value === 0) FILE_CALLS.removeAttributeSync(fd, 'user.a');
        else FILE_CALLS.setAttributeSync(fd, 'user.a', Buffer.alloc(operation.value));
      } finally {
        closeSync(fd);
      }
    }
    if (operation.kind !== 'write') return;
    versions += 1;
    writeFileSync(at(operation.name), `${versions}:`.padEnd(operation.length + 12, '.'));
  } catch (error) {
    if (!('code' in (error as object))) throw error;
  }
}
