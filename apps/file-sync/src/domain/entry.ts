import { z } from 'zod';

/**
 * Path below the root of a file set: its bytes as Latin-1 text, one character a byte, because a name need not be UTF-8. Components
 * are separated by "/"; none at either end.
 */
export type RelativePath = string;

/** Directory in the root of every file set where files are completed before they get their name. Never part of the set. */
export const STAGING = '.understudy';

const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4095;

/** Whether a path stays below a root whatever is done with it: no empty, "." or ".." component, no NUL, nothing too long. */
export function isSafePath(path: string): path is RelativePath {
  if (!isBytes(path)) return false;
  const names = path.split('/');
  if (names[0] === STAGING) return false;
  return names.every((name) => name !== '' && name !== '.' && name !== '..' && name.length <= NAME_BYTES_MAX);
}

function isBytes(text: string): boolean {
  if (text.length > PATH_BYTES_MAX) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0 || code > 0xff) return false;
  }
  return true;
}

/** The directory that a path lies in; '' is the root. */
export function parentOf(path: RelativePath): RelativePath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The last component of a path. */
export function nameOf(path: RelativePath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A path for people: UTF-8 where it is, and no line break or escape sequence in an event. */
export function shownPath(path: RelativePath): string {
  const utf8 = Buffer.from(path, 'latin1').toString('utf8');
  const text = utf8.includes('\ufffd') ? path : utf8;
  if (text === utf8 && !/\p{C}/u.test(text)) return text;
  // JSON leaves control characters from U+007F on, and those that turn the direction of what follows
  return JSON.stringify(text).slice(1, -1).replace(/\p{C}/gu, escaped);
}

function escaped(character: string): string {
  return `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`;
}

const SafePath = z.string().refine(isSafePath, 'does not stay below the root');
const Target = z.string().min(1).refine(isBytes, 'has bytes that no path has');
const Id = z.int().min(0).max(0xffff_fffe);
const Mode = z.int().min(0).max(0o7777);

/** Most bytes of an entry's attributes together, names and values (base64): ext4 takes 4 KiB, others up to 64 KiB for each. */
export const ATTRIBUTES_BYTES_MAX = 16 * 1024;
const KEPT_ATTRIBUTES = new Set(['system.posix_acl_access', 'system.posix_acl_default', 'security.capability']);

/**
 * Whether an extended attribute belongs to what an entry is: what users and applications give it, access control lists, capabilities. What the
 * machine gives it (labels of SELinux, what an overlay notes) does not.
 */
export function isKeptAttribute(name: string): boolean {
  return KEPT_ATTRIBUTES.has(name) || (name.startsWith('user.') && name.length <= NAME_BYTES_MAX && isBytes(name));
}

/** Extended attributes by name (bytes as Latin-1), values in base64. */
export type Attributes = Record<string, string>;

const AttributesSchema = z
  .record(z.string().refine(isKeptAttribute, 'is no attribute that is kept'), z.base64())
  .refine((attributes) => bytesOf(attributes) <= ATTRIBUTES_BYTES_MAX, 'is too much');

/** Bytes of names and values, as they are sent. */
export function bytesOf(attributes: Attributes): number {
  return Object.entries(attributes).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}

/** Whether two entries have the same attributes. */
export function sameAttributes(a: Attributes = {}, b: Attributes = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** SHA-256 of a file's content, base64url, in the one way that it is written. */
export const HashSchema = z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/);

/** One thing of a file set. `mtimeUs`: Unix time in microseconds; `size`: bytes; `target`: bytes as Latin-1, as the link has them. */
export const EntrySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('file'),
    path: SafePath,
    mode: Mode,
    uid: Id,
    gid: Id,
    mtimeUs: z.int(),
    size: z.int().min(0),
    hash: HashSchema,
    attributes: AttributesSchema.optional(),
  }),
  z.strictObject({ kind: z.literal('link'), path: SafePath, uid: Id, gid: Id, target: Target }),
  z.strictObject({
    kind: z.literal('directory'),
    path: SafePath,
    mode: Mode,
    uid: Id,
    gid: Id,
    attributes: AttributesSchema.optional(),
  }),
]);

/** One thing of a file set. */
export type Entry = z.infer<typeof EntrySchema>;
export type FileEntry = Extract<Entry, { kind: 'file' }>;
export type LinkEntry = Extract<Entry, { kind: 'link' }>;
export type DirectoryEntry = Extract<Entry, { kind: 'directory' }>;

/** The content of every directory. */
export const DIRECTORY_CONTENT = '/';

/** What an entry holds, as a key: equal for equal content, whatever owner, mode and time. */
export function contentOf(entry: Entry): string {
  if (entry.kind === 'file') return entry.hash;
  return entry.kind === 'link' ? `>${entry.target}` : DIRECTORY_CONTENT;
}

/** `futimes` takes seconds as a double: a time comes back a microsecond off. */
const MTIME_TOLERANCE_US = 2;

/** Whether two times in microseconds are the same. */
export function sameTime(a: number, b: number): boolean {
  return Math.abs(a - b) <= MTIME_TOLERANCE_US;
}

/** Whether owner, mode, attributes and time are the same; owners count only where they can be given (`withOwner`). */
export function sameMetadata(a: Entry, b: Entry, withOwner: boolean): boolean {
  if (withOwner && (a.uid !== b.uid || a.gid !== b.gid)) return false;
  if (a.kind === 'link' || b.kind === 'link') return a.kind === b.kind;
  if (a.mode !== b.mode || !sameAttributes(a.attributes, b.attributes)) return false;
  return a.kind !== 'file' || b.kind !== 'file' || sameTime(a.mtimeUs, b.mtimeUs);
}
