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

/** One path that differs, and how. */
export interface Difference {
  readonly path: RelativePath;
  readonly what: 'missing-here' | 'extra-here' | 'content' | 'kind' | 'metadata' | 'changed' | 'removed';
}

/** Paths that a plan is about; some may come twice. */
export function* pathsOf({ directories, files, links, metadata, removals }: Plan): Generator<RelativePath> {
  for (const { path } of [...directories, ...files, ...links, ...metadata]) yield path;
  yield* removals;
}

/** What differs between what the active server has and what is here, by path. */
export function differencesOf(
  wanted: ReadonlyMap<RelativePath, Entry>,
  here: ReadonlyMap<RelativePath, { readonly entry: Entry }>,
  withOwner: boolean,
): Difference[] {
  const { directories, files, links, metadata, removals } = difference(wanted, here, withOwner);
  const whatOf = (entry: Entry): Difference['what'] => {
    const local = here.get(entry.path)?.entry;
    if (local === undefined) return 'missing-here';
    return local.kind === entry.kind ? 'content' : 'kind';
  };
  const others = [...directories, ...files, ...links];
  const named = new Set(others.map(({ path }) => path));
  const differences: Difference[] = [
    ...others.map((entry) => ({ path: entry.path, what: whatOf(entry) })),
    ...metadata.filter(({ path }) => !named.has(path)).map(({ path }) => ({ path, what: 'metadata' as const })),
    ...removals.map((path) => ({ path, what: 'extra-here' as const })),
  ];
  return differences.sort(byPath);
}

/** Entries whose directory is none: a peer that says so is wrong or hostile. */
export function withoutDirectory(wanted: ReadonlyMap<RelativePath, Entry>): RelativePath[] {
  const isPlaced = (path: RelativePath) => {
    const parent = parentOf(path);
    return parent === '' || wanted.get(parent)?.kind === 'directory';
  };
  return [...wanted.keys()].filter((path) => !isPlaced(path));
}

function byPath(a: { readonly path: RelativePath }, b: { readonly path: RelativePath }): number {
  return a.path < b.path ? -1 : 1;
}
