import { mayDelete } from '../domain/deletion-guard.ts';
import { difference, pathsOf } from '../domain/difference.ts';
import { contentOf, DIRECTORY_CONTENT, type Entry, parentOf, type RelativePath, shownPath } from '../domain/entry.ts';
import { Applier } from './applier.ts';
import type { Aside } from './aside.ts';
import { Fetcher, isPartName, type OpenContent, partName } from './fetcher.ts';
import type { FileSet } from './file-set.ts';
import { completeStep, contentsBefore, type GenerationStep, makeStep, noteStep } from './generation.ts';
import { giveMemoryBack } from './memory.ts';
import { type AskChunks, Patcher } from './patcher.ts';
import { Pending, receiveAll, receiveForOneStep } from './receiving.ts';
import type { Problem } from './scanner.ts';
import { Staging, type SyncFileSystem } from './staging.ts';

/** So many entries are taken out of the inventory at once. */
const ENTRIES_AT_ONCE = 50_000;

/** What a run needs besides the set. */
export interface RunParts {
  readonly openContent: OpenContent;
  readonly askChunks: AskChunks;
  readonly sync: SyncFileSystem;
  /** Throws when nothing may be changed any more. */
  readonly mayChange: () => void;
  readonly pause: () => Promise<void>;
  /** Keeps files of this server that are not the active server's. */
  readonly aside: Aside;
  /** More is wanted than is known yet: nothing goes, and directories are given what they are to be when all is in them. */
  readonly isBeginning?: boolean;
  /** An operator has confirmed that so many files may go at once. */
  readonly confirmedDeletions: number;
  /** So many entries are taken out of the inventory at once; 50,000 unless told. */
  readonly entriesAtOnce?: number;
  /** Told before anything is changed: paths that differ. */
  readonly onDiffering: (paths: readonly RelativePath[]) => void;
  /** Told while it goes on: files and bytes that are still to be received. */
  readonly onPending: (files: number, bytes: number) => void;
}

/** What became of a run. */
export interface RunResult {
  /** Null: nothing was done, because so many files would have gone; they wait for an operator's word. */
  readonly awaiting: { readonly deletions: number; readonly files: number } | null;
  readonly problems: readonly Problem[];
  readonly changed: number;
  readonly receivedBytes: number;
}

/** Makes a set on the standby what is wanted of its inventory. What has been done stays done when it throws. */
export async function syncRun(set: FileSet, parts: RunParts): Promise<RunResult> {
  const { inventory, calls } = set;
  await completeStep(set, parts);
  const { isBeginning = false } = parts;
  const problems: Problem[] = [];
  const differing = [...inventory.wanted.differing()].filter((path) => {
    if (!isMeant(set, inventory.wanted.get(path))) return false;
    // what is in it goes when all that goes is known and can be guarded
    if (isBeginning && replacesDirectory(set, path)) return false;
    const isPlaced = hasDirectory(set, path);
    if (!isPlaced)
      problems.push({
        path: shownPath(path),
        message: 'the active server names no directory for it',
        isSkipped: false,
      });
    return isPlaced;
  });
  // parents before their children
  differing.sort();
  const extra = isBeginning ? [] : inventory.extra();
  parts.onDiffering([...differing, ...extra]);
  const deletions = isBeginning ? 0 : lostFiles(set, differing, extra);
  if (deletions > parts.confirmedDeletions) {
    const files = inventory.agreedFiles();
    if (!mayDelete(deletions, files)) return { awaiting: { deletions, files }, problems, changed: 0, receivedBytes: 0 };
  }

  inventory.agreeOnWanted();
  const changed = differing.length + extra.length;
  if (changed === 0) return { awaiting: null, problems, changed, receivedBytes: 0 };
  parts.mayChange();
  const staging = Staging.open(calls, set.tree(), {
    sync: parts.sync,
    withOwner: set.withOwner,
    attributes: set.attributes,
    kept: (names) => (isBeginning ? new Set(names.filter(isPartName)) : wantedParts(set, differing, new Set(names))),
  });
  const { aside, pause } = parts;
  let isBegun = false;
  // a step from one generation to the next that has begun is finished
  const mayChange = () => {
    if (!isBegun) parts.mayChange();
  };
  const applier = new Applier({ calls, tree: set.tree(), staging, aside, inventory, mayChange, pause });
  const fetcher = new Fetcher(calls, staging, parts.openContent);
  const { openContent, askChunks } = parts;
  const patcher = new Patcher({ calls, tree: set.tree(), inventory, staging, openContent, askChunks, pause });
  const tools = { applier, fetcher, patcher };
  try {
    if (set.configuration.atomic) {
      const plan = difference(inventory.comparison(differing, extra));
      const links = await applier.stageLinks(plan.links, set.withOwner);
      const pending = new Pending(set, differing, parts.onPending);
      const files = await receiveForOneStep(set, plan.files, tools, { mayChange, pending });
      pending.end();
      // all of it or nothing
      if (applier.problems.length + fetcher.problems.length === 0) {
        const before = contentsBefore(set, pathsOf(plan));
        const { directories, removals, metadata } = plan;
        const step = { directories, removals, metadata, staged: [...links, ...files], before } as GenerationStep;
        await noteStep(set, staging, step, mayChange);
        isBegun = true;
        await makeStep(applier, staging, step);
      }
    } else {
      const going = new Set(extra);
      const { entriesAtOnce: atOnce = ENTRIES_AT_ONCE } = parts;
      const directories: Entry[] = [];
      const pending = new Pending(set, differing, parts.onPending);
      for (let at = 0; at < differing.length; at += atOnce) {
        const plan = difference(inventory.comparison(differing.slice(at, at + atOnce), []));
        await applier.makeDirectories(plan.directories);
        await applier.commit(await applier.stageLinks(plan.links, set.withOwner));
        await receiveAll(set, plan.files, going, tools, { mayChange, pending });
        const [ofDirectories, ofOthers] = partition(plan.metadata);
        await applier.giveMetadata(ofOthers);
        directories.unshift(...ofDirectories);
        if (differing.length > ENTRIES_AT_ONCE) giveMemoryBack();
      }
      pending.end();
      await applier.remove(difference(inventory.comparison([], extra)).removals);
      // when all is in them
      if (!isBeginning) await applier.giveMetadata(directories);
    }
  } finally {
    inventory.closeGeneration();
    staging.close();
  }
  return {
    awaiting: null,
    problems: [...problems, ...applier.problems, ...fetcher.problems],
    changed,
    receivedBytes: fetcher.receivedBytes + patcher.receivedBytes,
  };
}

/** Files that both servers had and that are gone, there or here: an unmounted disk looks like this on either. */
function lostFiles({ inventory }: FileSet, differing: readonly RelativePath[], extra: readonly RelativePath[]): number {
  const { agreed, entries, wanted } = inventory;
  // what comes under another name has not gone: a directory was renamed
  const coming = new Map<string, number>();
  if (extra.length > 0)
    for (const path of differing) {
      const entry = entries.has(path) ? undefined : wanted.get(path);
      if (entry !== undefined) coming.set(contentOf(entry), (coming.get(contentOf(entry)) ?? 0) + 1);
    }
  let gone = 0;
  for (const path of extra) {
    const content = agreed.get(path);
    if (content === undefined || content === DIRECTORY_CONTENT) continue;
    const count = coming.get(content) ?? 0;
    if (count > 0) coming.set(content, count - 1);
    else gone += 1;
  }
  const isLost = (path: RelativePath) => agreed.has(path) && !entries.has(path) && wanted.get(path)?.kind === 'file';
  return Math.max(gone, differing.filter(isLost).length);
}

/** Of the files that earlier runs have left those whose content is still to be received. */
function wantedParts(
  { inventory }: FileSet,
  differing: readonly RelativePath[],
  left: ReadonlySet<string>,
): Set<string> {
  const wanted = new Set<string>();
  if (left.size === 0) return wanted;
  for (const path of differing) {
    const entry = inventory.wanted.get(path);
    if (entry?.kind === 'file' && left.has(partName(entry.hash))) wanted.add(partName(entry.hash));
  }
  return wanted;
}

/** Directories, and what is none. */
function partition(entries: readonly Entry[]): readonly [directories: Entry[], others: Entry[]] {
  const isDirectory = ({ kind }: Entry) => kind === 'directory';
  return [entries.filter(isDirectory), entries.filter((entry) => !isDirectory(entry))];
}

function isMeant({ selection }: FileSet, entry: Entry | undefined): boolean {
  if (entry === undefined) return false;
  return entry.kind === 'directory' ? !selection.prunes(entry.path) : selection.takes(entry.path);
}

/** A file or a link is to be where a directory is. */
function replacesDirectory({ inventory }: FileSet, path: RelativePath): boolean {
  const isDirectory = inventory.entries.get(path)?.entry.kind === 'directory';
  return isDirectory && inventory.wanted.get(path)?.kind !== 'directory';
}

/** A peer that names a file and not its directory is wrong or hostile. */
function hasDirectory({ inventory }: FileSet, path: RelativePath): boolean {
  const parent = parentOf(path);
  return parent === '' || inventory.wanted.get(parent)?.kind === 'directory';
}
