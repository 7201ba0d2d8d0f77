import {
  contentOf,
  type DirectoryEntry,
  type Entry,
  type FileEntry,
  type LinkEntry,
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

/** How what the active server has stands to what is here. Whatever is the same on both may be left out. */
export interface Comparison {
  readonly wanted: Iterable<Entry>;
  /** What is here at a path of `wanted`. */
  readonly hereAt: (path: RelativePath) => Entry | undefined;
  /** Paths of what is here and is not wanted. */
  readonly extra: Iterable<RelativePath>;
  /** Owners can be given here. */
  readonly withOwner: boolean;
}

/** Compares what the active server has with what is here. */
export function difference({ wanted, hereAt, extra, withOwner }: Comparison): Plan {
  const directories: DirectoryEntry[] = [];
  const files: FileEntry[] = [];
  const links: LinkEntry[] = [];
  const metadata: Entry[] = [];
  for (const entry of wanted) {
    const local = hereAt(entry.path);
    if (local !== undefined && contentOf(local) === contentOf(entry)) {
      if (!sameMetadata(local, entry, withOwner)) metadata.push(entry);
    } else if (entry.kind === 'file') files.push(entry);
    else if (entry.kind === 'link') links.push(entry);
    else {
      directories.push(entry);
      metadata.push(entry);
    }
  }
  return {
    directories: directories.sort(byPath),
    files: files.sort(byPath),
    links: links.sort(byPath),
    metadata: metadata.sort(byPath).reverse(),
    removals: [...extra].sort().reverse(),
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
export function differencesOf(comparison: Comparison): Difference[] {
  const { directories, files, links, metadata, removals } = difference(comparison);
  const whatOf = (entry: Entry): Difference['what'] => {
    const local = comparison.hereAt(entry.path);
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

function byPath(a: { readonly path: RelativePath }, b: { readonly path: RelativePath }): number {
  return a.path < b.path ? -1 : 1;
}
