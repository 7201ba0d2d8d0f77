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
  const text = Buffer.from(path, 'latin1').toString('utf8');
  return /^[\P{C}]+$/u.test(text) && !text.includes('\ufffd') ? text : JSON.stringify(path).slice(1, -1);
}

const SafePath = z.string().refine(isSafePath, 'does not stay below the root');
const Target = z.string().min(1).refine(isBytes, 'has bytes that no path has');
const Id = z.int().min(0).max(0xffff_fffe);
const Mode = z.int().min(0).max(0o7777);

/** SHA-256 of a file's content, base64url. */
export const HashSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

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
  }),
  z.strictObject({ kind: z.literal('link'), path: SafePath, uid: Id, gid: Id, target: Target }),
  z.strictObject({ kind: z.literal('directory'), path: SafePath, mode: Mode, uid: Id, gid: Id }),
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

/** Whether owner, mode and time are the same; owners count only where they can be given (`withOwner`). */
export function sameMetadata(a: Entry, b: Entry, withOwner: boolean): boolean {
  if (withOwner && (a.uid !== b.uid || a.gid !== b.gid)) return false;
  if (a.kind === 'link' || b.kind === 'link') return a.kind === b.kind;
  if (a.mode !== b.mode) return false;
  return a.kind !== 'file' || b.kind !== 'file' || Math.abs(a.mtimeUs - b.mtimeUs) <= MTIME_TOLERANCE_US;
}
