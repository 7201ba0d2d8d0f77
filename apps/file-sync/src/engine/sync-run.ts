import { join } from 'node:path';
import { mayDelete } from '../domain/deletion-guard.ts';
import { difference, type Plan, pathsOf, withoutDirectory } from '../domain/difference.ts';
import { contentOf, DIRECTORY_CONTENT, type Entry, type RelativePath, shownPath } from '../domain/entry.ts';
import { Applier } from './applier.ts';
import { Aside } from './aside.ts';
import { Fetcher, type OpenContent, partName } from './fetcher.ts';
import type { FileSet } from './file-set.ts';
import { completeStep, contentsBefore, type GenerationStep, makeStep, noteStep } from './generation.ts';
import { type AskChunks, Patcher } from './patcher.ts';
import { receiveAll, receiveForOneStep } from './receiving.ts';
import type { Problem } from './scanner.ts';
import { Staging, type SyncFileSystem } from './staging.ts';

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
  await completeStep(set, parts);
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
  const { pause } = parts;
  let isBegun = false;
  // a step from one generation to the next that has begun is finished
  const mayChange = () => {
    if (!isBegun) parts.mayChange();
  };
  const applier = new Applier({ calls, tree: set.tree(), staging, aside, inventory, agreed, mayChange, pause });
  const fetcher = new Fetcher(calls, staging, parts.openContent);
  const { openContent, askChunks } = parts;
  const patcher = new Patcher({ calls, tree: set.tree(), inventory, staging, openContent, askChunks, pause });
  const tools = { applier, fetcher, patcher };
  try {
    if (set.configuration.atomic) {
      const links = await applier.stageLinks(plan.links, parts.withOwner);
      const files = await receiveForOneStep(set, plan.files, tools, parts);
      // all of it or nothing
      if (applier.problems.length + fetcher.problems.length === 0) {
        mayChange();
        const before = contentsBefore(set, pathsOf(plan));
        const { directories, removals, metadata } = plan;
        const step = { directories, removals, metadata, staged: [...links, ...files], before } as GenerationStep;
        await noteStep(set, staging, step);
        isBegun = true;
        await makeStep(applier, staging, step);
      }
    } else {
      await applier.makeDirectories(plan.directories);
      await applier.commit(await applier.stageLinks(plan.links, parts.withOwner));
      await receiveAll(set, plan, tools, parts);
      await applier.remove(plan.removals);
      await applier.giveMetadata(plan.metadata);
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
