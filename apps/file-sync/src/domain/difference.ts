import {
  contentOf,
  type DirectoryEntry,
  type Entry,
  type FileEntry,
  type LinkEntry,
  parentOf,
  type RelativePath,
  sameMetadata,
} from './entry.ts';

/** What has to be done to the standby's files so that they are the active server's. Paths of parents come before their children's. */
export interface Plan {
  readonly directories: readonly DirectoryEntry[];
  readonly files: readonly FileEntry[];
  readonly links: readonly LinkEntry[];
  /** Right content, other owner, mode or time. Children come before their parents. */
  readonly metadata: readonly Entry[];
  /** What the active server has not got. Children come before their parents. */
  readonly removals: readonly RelativePath[];
}

/** Compares what the active server has with what is here. `withOwner`: owners can be given here. */
export function difference(
  wanted: ReadonlyMap<RelativePath, Entry>,
  here: ReadonlyMap<RelativePath, { readonly entry: Entry }>,
  withOwner: boolean,
): Plan {
  const directories: DirectoryEntry[] = [];
  const files: FileEntry[] = [];
  const links: LinkEntry[] = [];
  const metadata: Entry[] = [];
  for (const entry of wanted.values()) {
    const local = here.get(entry.path)?.entry;
    if (local !== undefined && contentOf(local) === contentOf(entry)) {
      if (!sameMetadata(local, entry, withOwner)) metadata.push(entry);
    } else if (entry.kind === 'file') files.push(entry);
    else if (entry.kind === 'link') links.push(entry);
    else {
      directories.push(entry);
      metadata.push(entry);
    }
  }
  const removals = [...here.keys()].filter((path) => !wanted.has(path));
  return {
    directories: directories.sort(byPath),
    files: files.sort(byPath),
    links: links.sort(byPath),
    metadata: metadata.sort(byPath).reverse(),
    removals: removals.sort().reverse(),
  };
}

/** Entries whose directory is none: a peer that says so is wrong or hostile. */
export function withoutDirectory(wanted: ReadonlyMap<RelativePath, Entry>): RelativePath[] {
  const isPlaced = (path: RelativePath) => {
    const parent = parentOf(path);
    return parent === '' || wanted.get(parent)?.kind === 'directory';
  };
  return [...wanted.keys()].filter((path) => !isPlaced(path));
}

function byPath(a: Entry, b: Entry): number {
  return a.path < b.path ? -1 : 1;
}
