import { join } from 'node:path';
import { mayDelete } from '../domain/deletion-guard.ts';
import { difference, type Plan, withoutDirectory } from '../domain/difference.ts';
import {
  contentOf,
  DIRECTORY_CONTENT,
  type Entry,
  type FileEntry,
  type RelativePath,
  shownPath,
} from '../domain/entry.ts';
import { Applier } from './applier.ts';
import { Aside } from './aside.ts';
import { batchesOf, Fetcher, type OpenContent, partName } from './fetcher.ts';
import type { FileSet } from './file-set.ts';
import { type AskChunks, Patcher } from './patcher.ts';
import type { Problem } from './scanner.ts';
import { type Staged, Staging, type SyncFileSystem } from './staging.ts';

/** Batches that are received at the same time. */
const LANES = 3;
/** So many files, or so many bytes, are made durable and get their names together: one sync of the file system costs as much for few. */
const GROUP_FILES = 16_384;
const GROUP_BYTES = 512 * 1024 * 1024;

/** What a run needs besides the set. */
export interface RunParts {
  readonly openContent: OpenContent;
  readonly askChunks: AskChunks;
  readonly sync: SyncFileSystem;
  /** Throws when nothing may be changed any more. */
  readonly mayChange: () => void;
  readonly pause: () => Promise<void>;
  /** Folder below which files of this server are kept that are not the active server's. */
  readonly setAside: string;
  /** Owners can be given: this process is root. */
  readonly withOwner: boolean;
  /** An operator has confirmed that so many files may go at once. */
  readonly confirmedDeletions: number;
  /** Told before anything is changed: what differs. */
  readonly onPlan: (plan: Plan) => void;
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
  /** Files of this server that were kept, and where. */
  readonly kept: { readonly paths: readonly RelativePath[]; readonly folder: string } | null;
}

/** Makes a set on the standby what the active server has. What has been done stays done when it throws. */
export async function syncRun(
  set: FileSet,
  wanted: ReadonlyMap<RelativePath, Entry>,
  parts: RunParts,
): Promise<RunResult> {
  const { inventory, agreed, calls } = set;
  const misplaced = new Set(withoutDirectory(wanted));
  const selected = new Map([...wanted].filter(([path, entry]) => isMeant(set, path, entry) && !misplaced.has(path)));
  const plan = difference(selected, inventory.entries, parts.withOwner);
  parts.onPlan(plan);
  const problems: Problem[] = [...misplaced].map((path) => ({
    path: shownPath(path),
    message: 'the active server names no directory for it',
    isSkipped: false,
  }));
  const deletions = lostFiles(set, plan);
  const before = [...agreed.values()].filter((content) => content !== DIRECTORY_CONTENT).length;
  if (!mayDelete(deletions, before) && deletions > parts.confirmedDeletions)
    return { awaiting: { deletions, files: before }, problems, changed: 0, receivedBytes: 0, kept: null };

  noteAgreement(set, selected);
  const changed = Object.values(plan).reduce((sum, { length }) => sum + length, 0);
  if (changed === 0) return { awaiting: null, problems, changed, receivedBytes: 0, kept: null };
  parts.mayChange();
  const staging = Staging.open(calls, set.tree(), {
    sync: parts.sync,
    withOwner: parts.withOwner,
    kept: new Set(plan.files.map(({ hash }) => partName(hash))),
  });
  const aside = new Aside(calls, join(parts.setAside, set.name, new Date().toISOString().replaceAll(':', '')));
  const { mayChange, pause } = parts;
  const applier = new Applier({ calls, tree: set.tree(), staging, aside, inventory, agreed, mayChange, pause });
  const fetcher = new Fetcher(calls, staging, parts.openContent);
  const { openContent, askChunks } = parts;
  const patcher = new Patcher({ calls, tree: set.tree(), inventory, staging, openContent, askChunks, pause });
  try {
    await applier.makeDirectories(plan.directories);
    await applier.commit(await applier.stageLinks(plan.links, parts.withOwner));
    await receiveAll(set, plan, { applier, fetcher, patcher }, parts);
    await applier.remove(plan.removals);
    await applier.giveMetadata(plan.metadata);
  } finally {
    inventory.closeGeneration();
    staging.close();
  }
  return {
    awaiting: null,
    problems: [...problems, ...applier.problems, ...fetcher.problems],
    changed,
    receivedBytes: fetcher.receivedBytes + patcher.receivedBytes,
    kept: aside.kept.length === 0 ? null : { paths: aside.kept, folder: aside.folder },
  };
}

/** What is the same on both servers is from now on known to be; what neither has is forgotten. */
function noteAgreement({ agreed, inventory }: FileSet, selected: ReadonlyMap<RelativePath, Entry>): void {
  for (const [path, entry] of selected) {
    const here = inventory.entries.get(path)?.entry;
    if (here !== undefined && contentOf(here) === contentOf(entry)) agreed.set(path, contentOf(entry));
  }
  for (const path of [...agreed.keys()]) if (!selected.has(path) && !inventory.entries.has(path)) agreed.delete(path);
}

/** Files that both servers had and that are gone, there or here: an unmounted disk looks like this on either. */
function lostFiles(set: FileSet, { removals, files }: Plan): number {
  const gone = removals.filter((path) => set.agreed.has(path) && set.agreed.get(path) !== DIRECTORY_CONTENT).length;
  const goneHere = files.filter(({ path }) => set.agreed.has(path) && !set.inventory.entries.has(path)).length;
  return Math.max(gone, goneHere);
}

function isMeant(set: FileSet, path: RelativePath, { kind }: Entry): boolean {
  return kind === 'directory' ? !set.selection.prunes(path) : set.selection.takes(path);
}

async function receiveAll(
  set: FileSet,
  plan: Plan,
  { applier, fetcher, patcher }: { applier: Applier; fetcher: Fetcher; patcher: Patcher },
  { onPending, mayChange }: RunParts,
): Promise<void> {
  const toReceive: FileEntry[] = [];
  const again: FileEntry[] = [];
  const contents = new Set<string>();
  const rest = await reuseAll(set, plan.files, new Set(plan.removals), applier, fetcher);
  for (const file of rest) (contents.has(file.hash) ? again : toReceive).push(contents.add(file.hash) && file);
  const changed = toReceive.filter((file) => patcher.isMeant(file));
  const batches = [...changed.map((file) => [file]), ...batchesOf(toReceive.filter((file) => !patcher.isMeant(file)))];
  let pendingFiles = rest.length;
  let pendingBytes = rest.reduce((sum, { size }) => sum + size, 0);
  onPending(pendingFiles, pendingBytes);
  let staged: Staged[] = [];
  let stagedBytes = 0;
  const commit = () => {
    const group = staged;
    staged = [];
    stagedBytes = 0;
    return applier.commit(group);
  };
  const lane = async () => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      mayChange();
      const bytes = batch.reduce((sum, { size }) => sum + size, 0);
      const [first] = batch;
      const patched = first !== undefined && patcher.isMeant(first) ? await patcher.patch(first) : null;
      staged.push(...(patched === null ? await fetcher.receive(batch) : [patched]));
      stagedBytes += bytes;
      pendingFiles -= batch.length;
      pendingBytes -= bytes;
      onPending(pendingFiles, pendingBytes);
      if (staged.length >= GROUP_FILES || stagedBytes >= GROUP_BYTES) await commit();
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
  // what is complete gets its name even when the connection has broken
  await commit();
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason;
  // of content that came under another name just now
  const missing = await reuseAll(set, again, new Set(), applier, fetcher);
  for (const batch of batchesOf(missing).flatMap((files) => files.map((file) => [file])))
    await applier.commit(await fetcher.receive(batch));
  onPending(0, 0);
}

/** Takes what is here already under another name. Returns the files whose content is not here. */
async function reuseAll(
  set: FileSet,
  files: readonly FileEntry[],
  going: ReadonlySet<RelativePath>,
  applier: Applier,
  fetcher: Fetcher,
): Promise<FileEntry[]> {
  if (files.length === 0) return [];
  const wanted = new Set(files.map(({ hash }) => hash));
  const places = new Map<string, RelativePath>();
  for (const { entry } of set.inventory.entries.values()) {
    if (entry.kind !== 'file' || !wanted.has(entry.hash)) continue;
    // one that goes is better: it need not be copied
    if (!places.has(entry.hash) || going.has(entry.path)) places.set(entry.hash, entry.path);
  }
  const rest: FileEntry[] = [];
  const staged = [];
  for (const file of files) {
    const from = places.get(file.hash);
    const isGoing = from !== undefined && going.has(from) && !applier.moved.has(from);
    const found =
      from === undefined ? null : applier.reusing(() => fetcher.reuse(set.tree(), set.inventory, from, file, isGoing));
    if (found === null) rest.push(file);
    else {
      staged.push(found);
      if (isGoing && from !== undefined) applier.moved.set(from, file.path);
    }
  }
  await applier.commit(staged);
  return rest;
}
