import type { Entry, FileEntry, RelativePath } from '../domain/entry.ts';
import type { Applier } from './applier.ts';
import { batchesOf, type Fetcher } from './fetcher.ts';
import type { FileSet } from './file-set.ts';
import type { Patcher } from './patcher.ts';
import type { Staged } from './staging.ts';

/** Batches that are received at the same time. */
const LANES = 3;
/** So many files, or so many bytes, are made durable and get their names together: one sync of the file system costs as much for few. */
const GROUP_FILES = 16_384;
const GROUP_BYTES = 512 * 1024 * 1024;

/** What completes files and gives them their names. */
export interface Tools {
  readonly applier: Applier;
  readonly fetcher: Fetcher;
  readonly patcher: Patcher;
}

/** Who is told and asked meanwhile; see `RunParts`. */
export interface ReceivingParts {
  readonly mayChange: () => void;
  readonly pending: Pending;
}

/** Files and bytes of a run that are still to come. */
export class Pending {
  private files = 0;
  private bytes = 0;
  /** Of files that are not whole yet. */
  private partBytes = 0;

  constructor(
    { inventory }: FileSet,
    differing: readonly RelativePath[],
    private readonly tell: (files: number, bytes: number) => void,
  ) {
    for (const path of differing) {
      const entry = inventory.wanted.get(path);
      if (entry?.kind !== 'file' || isHere(inventory.entries.get(path)?.entry, entry)) continue;
      this.files += 1;
      this.bytes += entry.size;
    }
    this.tellNow();
  }

  /** A piece of a file has come. */
  part(bytes: number): void {
    this.partBytes += bytes;
    this.tellNow();
  }

  /** Files are whole, or have failed. @param partBytes of them that were told as pieces */
  done(files: readonly FileEntry[], partBytes: number): void {
    this.files -= files.length;
    this.bytes -= files.reduce((sum, { size }) => sum + size, 0);
    this.partBytes -= partBytes;
    this.tellNow();
  }

  end(): void {
    this.tell(0, 0);
  }

  private tellNow(): void {
    this.tell(Math.max(0, this.files), Math.max(0, this.bytes - this.partBytes));
  }
}

function isHere(here: Entry | undefined, { hash }: FileEntry): boolean {
  return here?.kind === 'file' && here.hash === hash;
}

/** Completes all files of a plan and gives them their names as they come. */
export async function receiveAll(
  set: FileSet,
  files: readonly FileEntry[],
  going: ReadonlySet<RelativePath>,
  tools: Tools,
  parts: ReceivingParts,
): Promise<void> {
  const { applier, fetcher } = tools;
  const place = async (staged: readonly Staged[]) => void (await applier.commit(staged));
  const { once, again } = byContent(await reuseAll(set, files, going, tools, place));
  await receive(once, tools, parts, place);
  // of content that came under another name just now
  for (const file of await reuseAll(set, again, new Set(), tools, place)) await place(await fetcher.receive([file]));
}

/** Completes files and leaves them all in the staging directory. What fails is a problem of the fetcher. */
export async function receiveForOneStep(
  set: FileSet,
  files: readonly FileEntry[],
  tools: Tools,
  parts: ReceivingParts,
): Promise<Staged[]> {
  const staged: Staged[] = [];
  const place = async (more: readonly Staged[]) => {
    for (const one of more) staged.push(one);
  };
  // nothing goes before the step: what is here is copied
  const { once, again } = byContent(await reuseAll(set, files, new Set(), tools, place));
  await receive(once, tools, parts, place);
  const byHash = new Map(staged.flatMap((one) => (one.entry.kind === 'file' ? [[one.entry.hash, one]] : [])));
  for (const file of again) {
    const same = byHash.get(file.hash);
    // what has failed once is a problem already
    if (same !== undefined) staged.push(tools.fetcher.again(same, file));
  }
  return staged;
}

/** Files of different content, and those whose content comes with one of them. */
function byContent(files: readonly FileEntry[]): { readonly once: FileEntry[]; readonly again: FileEntry[] } {
  const once: FileEntry[] = [];
  const again: FileEntry[] = [];
  const contents = new Set<string>();
  for (const file of files) {
    if (contents.has(file.hash)) again.push(file);
    else once.push(file);
    contents.add(file.hash);
  }
  return { once, again };
}

/** Receives files, several batches at a time, and places them group by group. */
async function receive(
  files: readonly FileEntry[],
  { fetcher, patcher }: Tools,
  { pending, mayChange }: ReceivingParts,
  place: (staged: readonly Staged[]) => Promise<void>,
): Promise<void> {
  const changed = files.filter((file) => patcher.isMeant(file));
  const batches = [...changed.map((file) => [file]), ...batchesOf(files.filter((file) => !patcher.isMeant(file)))];
  let staged: Staged[] = [];
  let stagedBytes = 0;
  const placeGroup = () => {
    const group = staged;
    staged = [];
    stagedBytes = 0;
    return place(group);
  };
  const lane = async () => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      mayChange();
      const bytes = batch.reduce((sum, { size }) => sum + size, 0);
      const [first] = batch;
      const patched = first !== undefined && patcher.isMeant(first) ? await patcher.patch(first) : null;
      let partBytes = 0;
      const onPart = (length: number) => {
        partBytes += length;
        pending.part(length);
      };
      try {
        staged.push(...(patched === null ? await fetcher.receive(batch, onPart) : [patched]));
      } finally {
        pending.done(batch, partBytes);
      }
      stagedBytes += bytes;
      if (staged.length >= GROUP_FILES || stagedBytes >= GROUP_BYTES) await placeGroup();
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
  // what is complete gets its name even when the connection has broken
  await placeGroup();
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** Takes what is here already under another name. Returns the files whose content is not here. */
async function reuseAll(
  set: FileSet,
  files: readonly FileEntry[],
  going: ReadonlySet<RelativePath>,
  { applier, fetcher }: Tools,
  place: (staged: readonly Staged[]) => Promise<void>,
): Promise<FileEntry[]> {
  if (files.length === 0) return [];
  const wanted = new Set(files.map(({ hash }) => hash));
  const places = new Map<string, RelativePath>();
  for (const entry of set.inventory.entries.filesWith(wanted)) {
    // one that goes is better: it need not be copied
    if (!places.has(entry.hash) || going.has(entry.path)) places.set(entry.hash, entry.path);
  }
  const rest: FileEntry[] = [];
  const staged: Staged[] = [];
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
  await place(staged);
  return rest;
}
