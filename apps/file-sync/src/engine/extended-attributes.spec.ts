import { chmodSync, closeSync, mkdirSync, openSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ATTRIBUTES_BYTES_MAX, type Attributes, EntrySchema } from '../domain/entry.ts';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { TwoTrees } from '../testing/trees.ts';
import { ExtendedAttributes } from './extended-attributes.ts';

const asRoot = process.getuid?.() === 0 ? it : it.skip;

let trees: TwoTrees;

beforeEach(() => {
  trees = new TwoTrees();
});

afterEach(() => trees.remove());

function attributesAt(path: string): Attributes | undefined {
  const fd = openSync(path, 'r');
  try {
    return new ExtendedAttributes(FILE_CALLS).read(fd);
  } finally {
    closeSync(fd);
  }
}

function give(path: string, attributes: Record<string, Buffer | null>): void {
  const fd = openSync(path, 'r');
  try {
    for (const [name, value] of Object.entries(attributes))
      if (value === null) FILE_CALLS.removeAttributeSync(fd, name);
      else FILE_CALLS.setAttributeSync(fd, name, value);
  } finally {
    closeSync(fd);
  }
}

/** An access control list as Linux keeps it: version 2, then tag, permissions and id of each entry, little-endian. */
function accessList(...entries: readonly (readonly [tag: number, permissions: number, id?: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2);
  for (const [index, [tag, permissions, id = 0xffff_ffff]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(permissions, 6 + index * 8);
    bytes.writeUInt32LE(id, 8 + index * 8);
  }
  return bytes;
}

/** user::rw- user:1234:rw- group::r-- mask::rw- other::--- */
const LIST = accessList([1, 6], [2, 6, 1234], [4, 4], [16, 6], [32, 0]);

describe('extended attributes', () => {
  it('of files and directories go with them, change with them, and go away with them', async () => {
    const [file, folder] = [join(trees.active, 'd/file'), join(trees.active, 'd')];
    mkdirSync(folder);
    writeFileSync(file, 'one', { mode: 0o640 });
    const name = `user.${Buffer.from('ä').toString('latin1')}`;
    give(file, { 'user.colour': Buffer.from('red'), [name]: Buffer.from([0, 255]), 'user.none': Buffer.alloc(0) });
    give(file, { 'system.posix_acl_access': LIST });
    give(folder, { 'system.posix_acl_default': LIST });
    expect((await trees.run()).problems).toEqual([]);
    const [copy, copiedFolder] = [join(trees.standby, 'd/file'), join(trees.standby, 'd')];
    expect(attributesAt(copy)).toEqual(attributesAt(file));
    expect(Object.keys(attributesAt(copy) ?? {}).sort()).toEqual(
      ['system.posix_acl_access', 'user.colour', 'user.none', name].sort(),
    );
    expect(attributesAt(copiedFolder)).toEqual({ 'system.posix_acl_default': LIST.toString('base64') });
    expect(statSync(copy).mode & 0o777).toBe(0o660);

    // only the attributes change, then all go; nothing of the content is sent
    give(file, { 'user.colour': Buffer.from('blue'), 'user.none': null });
    const second = await trees.run();
    expect([second.problems, second.receivedBytes, attributesAt(copy)]).toEqual([[], 0, attributesAt(file)]);
    give(file, { 'user.colour': null, [name]: null, 'system.posix_acl_access': null });
    give(folder, { 'system.posix_acl_default': null });
    chmodSync(file, 0o600);
    await trees.run();
    expect([attributesAt(copy), attributesAt(copiedFolder)]).toEqual([undefined, undefined]);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect((await trees.run()).changed).toBe(0);
  });

  it('of a directory on the standby that gives its own to new files do not stay on them', async () => {
    give(trees.standby, { 'system.posix_acl_default': LIST });
    writeFileSync(join(trees.active, 'file'), 'one', { mode: 0o644 });
    await trees.run();
    expect(attributesAt(join(trees.standby, 'file'))).toBeUndefined();
    expect(statSync(join(trees.standby, 'file')).mode & 0o777).toBe(0o644);
  });

  it('stay with a file that is given another name', async () => {
    writeFileSync(join(trees.active, 'one'), 'x'.repeat(5000));
    give(join(trees.active, 'one'), { 'user.colour': Buffer.from('red') });
    await trees.run();
    renameSync(join(trees.active, 'one'), join(trees.active, 'two'));
    const { receivedBytes } = await trees.run();
    expect(receivedBytes).toBe(0);
    expect(attributesAt(join(trees.standby, 'two'))).toEqual({ 'user.colour': 'cmVk' });
  });

  asRoot('of programs are their capabilities', async () => {
    writeFileSync(join(trees.active, 'ping'), 'x', { mode: 0o755 });
    // version 2, effective, cap_net_raw
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    give(join(trees.active, 'ping'), { 'security.capability': capability });
    await trees.run();
    expect(attributesAt(join(trees.standby, 'ping'))).toEqual({ 'security.capability': capability.toString('base64') });
  });

  it('that are too many to be sent are refused, and so are those of the machine from a peer', async () => {
    writeFileSync(join(trees.active, 'large'), 'large');
    const large: FileCalls = {
      ...FILE_CALLS,
      listAttributesSync: () => ['user.large'],
      getAttributeSync: () => Buffer.alloc(ATTRIBUTES_BYTES_MAX),
    };
    const fd = openSync(join(trees.active, 'large'), 'r');
    expect(() => new ExtendedAttributes(large).read(fd)).toThrow('16 KiB');
    closeSync(fd);
    const directory = { kind: 'directory', path: 'd', mode: 0o755, uid: 0, gid: 0 };
    const isTaken = (attributes: object) => EntrySchema.safeParse({ ...directory, attributes }).success;
    expect(isTaken({ 'user.a': 'AA==' })).toBe(true);
    for (const name of ['trusted.overlay.opaque', 'security.selinux', 'system.other', 'user.a\0', 'user.\u0100'])
      expect(isTaken({ [name]: 'AA==' })).toBe(false);
    expect(isTaken({ 'user.a': 'no base64' })).toBe(false);
    expect(isTaken({ 'user.a': Buffer.alloc(ATTRIBUTES_BYTES_MAX).toString('base64') })).toBe(false);
  });

  it('that the standby’s file system does not keep are left out, and that is known', async () => {
    const refusing: FileCalls = {
      ...FILE_CALLS,
      setAttributeSync: () => {
        throw Object.assign(new Error('ENOTSUP'), { code: 'ENOTSUP' });
      },
    };
    trees.restartSink(refusing);
    writeFileSync(join(trees.active, 'file'), 'one');
    give(join(trees.active, 'file'), { 'user.colour': Buffer.from('red') });
    const { problems } = await trees.run();
    const { attributes } = trees.sink;
    const [entry] = [...trees.source.inventory.entries.values()].map((tracked) => tracked.entry);
    if (entry?.kind !== 'file') throw new Error('the file was not found');
    expect([problems, attributes.areRefused, attributes.attainable(entry)]).toEqual([
      [],
      true,
      { ...entry, attributes: undefined },
    ]);
  });
});
