import { constants } from 'node:fs';
import { z } from 'zod';
import { contentOf, type Entry, EntrySchema, isSafePath, type RelativePath, STAGING } from '../domain/entry.ts';
import { Applier } from './applier.ts';
import { type Aside, writeWhole } from './aside.ts';
import type { FileSet } from './file-set.ts';
import type { Problem } from './scanner.ts';
import { Staging, type SyncFileSystem } from './staging.ts';

const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
const JOURNAL = 'journal';
const UNFINISHED = 'journal.unfinished';

const SafePath = z.string().refine(isSafePath, 'does not stay below the root');
const StepSchema = z.strictObject({
  directories: z.array(EntrySchema.options[2]),
  /** Files and links that are complete in the staging directory. */
  staged: z.array(z.strictObject({ name: z.string().regex(/^[A-Za-z0-9_.-]+$/), entry: EntrySchema })),
  removals: z.array(SafePath),
  metadata: z.array(EntrySchema),
  /** What was at the paths that change: path and content. */
  before: z.array(z.tuple([SafePath, z.string()])),
});

/** From one generation of a set to the next, when everything that it needs is in the staging directory. */
export type GenerationStep = z.infer<typeof StepSchema>;

/**
 * Notes a step durably, with what it needs: from now on it is completed, whatever ends before.
 * @param mayChange throws when it shall not be; what it needs may take minutes to be durable
 */
export async function noteStep(
  set: FileSet,
  staging: Staging,
  step: GenerationStep,
  mayChange: () => void,
): Promise<void> {
  const { calls } = set;
  await staging.syncFiles(step.staged);
  mayChange();
  const fd = calls.openSync(staging.place(UNFINISHED), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    writeWhole(calls, fd, Buffer.from(JSON.stringify(step)), 0);
    calls.fsyncSync(fd);
  } finally {
    calls.closeSync(fd);
  }
  calls.renameSync(staging.place(UNFINISHED), staging.place(JOURNAL));
  staging.syncOwnDirectory();
}

/** Makes a step. What the system refuses stays as it was and becomes a problem of the applier. */
export async function makeStep(applier: Applier, staging: Staging, step: GenerationStep): Promise<void> {
  await applier.makeDirectories(step.directories);
  // nothing comes between them: they are to appear together
  await applier.commit(step.staged, async () => undefined);
  await applier.remove(step.removals);
  await applier.giveMetadata(step.metadata);
  staging.discard(JOURNAL);
}

/** What `completeStep` needs besides the set. */
export interface CompletionParts {
  readonly sync: SyncFileSystem;
  readonly pause: () => Promise<void>;
  /** Keeps what its places hold and the active server does not know. */
  readonly aside: Aside;
}

/**
 * Completes a step that an earlier run, perhaps of an earlier process, has noted and not finished. This server may have become the active
 * one since: what its application has changed meanwhile stays. Null: there is none. Throws as `open(2)` does when there is no root.
 */
export async function completeStep(set: FileSet, parts: CompletionParts): Promise<readonly Problem[] | null> {
  const { calls, inventory } = set;
  const tree = set.tree();
  if (tree.stat(`${STAGING}/${JOURNAL}`) === null) return null;
  const { sync, pause, aside } = parts;
  const staging = Staging.open(calls, tree, {
    sync,
    withOwner: set.withOwner,
    attributes: set.attributes,
    kept: (names) => new Set(names),
  });
  try {
    const step = readStep(set, staging);
    if (step === null) {
      staging.discard(JOURNAL);
      return null;
    }
    const applier = new Applier({ calls, tree, staging, aside, inventory, pause, mayChange: () => undefined });
    await makeStep(applier, staging, await stillToDo(step, applier, staging));
    inventory.closeGeneration();
    return applier.problems;
  } finally {
    staging.close();
  }
}

function readStep({ calls }: FileSet, staging: Staging): GenerationStep | null {
  const fd = staging.openFile(JOURNAL);
  try {
    const { size } = calls.fstatSync(fd);
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size; ) {
      const count = calls.readSync(fd, bytes, at, size - at, at);
      if (count === 0) return null;
      at += count;
    }
    const parsed = StepSchema.safeParse(JSON.parse(bytes.toString()));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  } finally {
    calls.closeSync(fd);
  }
}

/** The part of a step that is not made yet, but for what others have changed since. */
async function stillToDo(step: GenerationStep, applier: Applier, staging: Staging): Promise<GenerationStep> {
  const before = new Map(step.before);
  const mayBecome = async (path: RelativePath, next: string | null): Promise<boolean> => {
    const now = await applier.contentOf(path);
    return now === null || now === next || now === before.get(path);
  };
  const keep = async <T>(items: readonly T[], holds: (item: T) => Promise<boolean>): Promise<T[]> => {
    const kept: T[] = [];
    for (const item of items) if (await holds(item)) kept.push(item);
    return kept;
  };
  const isEntry = (entry: Entry) => mayBecome(entry.path, contentOf(entry));
  return {
    ...step,
    directories: await keep(step.directories, isEntry),
    staged: await keep(step.staged, async ({ name, entry }) => staging.has(name) && (await isEntry(entry))),
    removals: await keep(step.removals, (path) => mayBecome(path, null)),
    metadata: await keep(step.metadata, async (entry) => {
      // a directory may still be to come, also in the place of a file; a file that is has its own
      if (entry.kind === 'directory') return isEntry(entry);
      return (await applier.contentOf(entry.path)) === contentOf(entry);
    }),
  };
}

/** What is now at the paths that a plan changes. */
export function contentsBefore({ inventory }: FileSet, paths: Iterable<RelativePath>): [RelativePath, string][] {
  const contents: [RelativePath, string][] = [];
  for (const path of paths) {
    const entry = inventory.entries.get(path)?.entry;
    if (entry !== undefined) contents.push([path, contentOf(entry)]);
  }
  return contents;
}
