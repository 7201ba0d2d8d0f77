import { ATTRIBUTES_BYTES_MAX, type Attributes, bytesOf, type Entry, isKeptAttribute } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { TreeError } from './tree.ts';

/** Only root may give it. */
const CAPABILITY = 'security.capability';
/** What a file system that keeps none, or not this kind, says. */
const NOT_KEPT = new Set(['ENOTSUP', 'EPERM']);

/** Extended attributes of the files of one set: read on the active server, given on the standby. */
export class ExtendedAttributes {
  private refused = false;
  private readonly isRoot = process.getuid?.() === 0;

  constructor(private readonly calls: FileCalls) {}

  /** The file system here does not keep what it was given: files are without it. */
  get areRefused(): boolean {
    return this.refused;
  }

  /** Those of an opened file or directory; undefined: none. Throws E2BIG for more than can be sent, and as `fgetxattr(2)` does. */
  read(fd: number): Attributes | undefined {
    const names = this.names(fd);
    if (names.length === 0) return undefined;
    const attributes: Attributes = {};
    for (const name of names) {
      const value = this.valueOf(fd, name);
      if (value !== null) attributes[name] = value.toString('base64');
    }
    if (bytesOf(attributes) > ATTRIBUTES_BYTES_MAX)
      throw new TreeError('E2BIG', `has more than ${ATTRIBUTES_BYTES_MAX / 1024} KiB of extended attributes`);
    return attributes;
  }

  /** Makes the attributes of an opened file or directory these. What the file system does not keep is noted, and no error. */
  give(fd: number, wanted: Attributes = {}): void {
    const here = this.names(fd);
    try {
      for (const name of here) if (!(name in wanted)) this.calls.removeAttributeSync(fd, name);
      for (const [name, text] of Object.entries(wanted)) {
        const value = Buffer.from(text, 'base64');
        if (!here.includes(name) || !this.valueOf(fd, name)?.equals(value))
          this.calls.setAttributeSync(fd, name, value);
      }
    } catch (error) {
      if (!NOT_KEPT.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      this.refused = true;
    }
  }

  /** An entry of the active server as it can be here; the same object when it can be as it is. */
  attainable(entry: Entry): Entry {
    if (entry.kind === 'link' || entry.attributes === undefined || (this.isRoot && !this.refused)) return entry;
    const { [CAPABILITY]: capability, ...others } = entry.attributes;
    const attributes = this.refused || Object.keys(others).length === 0 ? undefined : others;
    return { ...entry, attributes };
  }

  private names(fd: number): string[] {
    try {
      return this.calls
        .listAttributesSync(fd)
        .filter((name) => isKeptAttribute(name) && (this.isRoot || name !== CAPABILITY))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOTSUP') return [];
      throw error;
    }
  }

  /** Null: it has gone. */
  private valueOf(fd: number, name: string): Buffer | null {
    try {
      return this.calls.getAttributeSync(fd, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENODATA') return null;
      throw error;
    }
  }
}
