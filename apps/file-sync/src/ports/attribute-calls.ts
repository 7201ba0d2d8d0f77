import koffi from 'koffi';

/** The system calls for extended attributes, which Node.js has not got. Each throws with `code`, as those of `node:fs` do. */
export interface AttributeCalls {
  /** Names of the attributes of an opened file, bytes as Latin-1. */
  listAttributesSync(fd: number): string[];
  getAttributeSync(fd: number, name: string): Buffer;
  setAttributeSync(fd: number, name: string, value: Uint8Array): void;
  removeAttributeSync(fd: number, name: string): void;
}

const CODES = new Map(Object.entries(koffi.os.errno).map(([code, number]) => [number, code]));

/** The machine's, from its C library. */
export const ATTRIBUTE_CALLS: AttributeCalls = attributeCalls();

function attributeCalls(): AttributeCalls {
  const libc = koffi.load(null);
  const list = libc.func('intptr_t flistxattr(int fd, void *list, size_t size)');
  const get = libc.func('intptr_t fgetxattr(int fd, const void *name, void *value, size_t size)');
  const set = libc.func('int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)');
  const remove = libc.func('int fremovexattr(int fd, const void *name)');
  /** The length is asked for first: the system makes room for as much as it is offered, each time. */
  const read = (call: string, read: (into: Buffer | null, size: number) => number) => {
    const length = checked(call, read(null, 0));
    const bytes = Buffer.alloc(length);
    return length === 0 ? bytes : bytes.subarray(0, checked(call, read(bytes, length)));
  };
  return {
    listAttributesSync: (fd) => {
      const names = read('flistxattr', (into, size) => list(fd, into, size));
      return names.toString('latin1').split('\0').slice(0, -1);
    },
    getAttributeSync: (fd, name) => read('fgetxattr', (into, size) => get(fd, nameOf(name), into, size)),
    setAttributeSync: (fd, name, value) => void checked('fsetxattr', set(fd, nameOf(name), value, value.length, 0)),
    removeAttributeSync: (fd, name) => void checked('fremovexattr', remove(fd, nameOf(name))),
  };
}

/** As C has it: names are bytes. */
function nameOf(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}

function checked(call: string, result: number): number {
  if (result >= 0) return result;
  const code = CODES.get(koffi.errno()) ?? 'EIO';
  throw Object.assign(new Error(`${code}: ${call}`), { code });
}
