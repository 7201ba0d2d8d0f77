import { type Difference, differencesOf } from '../domain/difference.ts';
import { DirectionLost } from './applier.ts';
import { Aside } from './aside.ts';
import type { FileSet } from './file-set.ts';
import { giveMemoryBack } from './memory.ts';
import type { ManifestListener, ManifestSummary, PeerClient } from './peer-client.ts';
import { unreadable } from './scanner.ts';
import { isComplete, type SetReport } from './set-report.ts';
import type { SetSurroundings } from './set-sync.ts';
import type { SinceWhen } from './since-when.ts';
import { type RunResult, syncRun } from './sync-run.ts';

/** A run that changes so many entries leaves much garbage behind. */
const LARGE_RUN = 50_000;

/** What all parts of a run have in common. */
interface RunTools {
  readonly client: PeerClient;
  readonly epoch: number;
  /** Throws `DirectionLost` when this server may change nothing any more. */
  readonly mayChange: () => void;
  readonly signal: AbortSignal;
  readonly listener: ManifestListener;
  readonly aside: Aside;
}

/** Both servers have what they had. */
const NOTHING_DONE: RunResult = { awaiting: null, problems: [], changed: 0, receivedBytes: 0 };

/** The standby's part in keeping a set the same: what it knows of the active server, and its runs, one at a time. */
export class Standby {
  /** The generation of the active server's files that is wanted here; null: not known. */
  private base: string | null = null;
  private isWantedWhole = false;
  /** The generation of this server's files in which they were all that is wanted. */
  private completeIn: number | null = null;
  private confirmed = 0;
  private isToldOfAttributes = false;

  /** @param keep keeps what is known of the set; `isNew`: a run has changed it */
  constructor(
    private readonly set: FileSet,
    private readonly around: SetSurroundings,
    private readonly report: SetReport,
    private readonly since: SinceWhen,
    private readonly keep: (isNew: boolean) => Promise<void>,
  ) {}

  /** The direction is another one: all is asked for again, and an operator's word counts no longer. */
  turned(): void {
    this.base = null;
    this.confirmed = 0;
  }

  /** A run has failed: all is asked for again. */
  failed(): void {
    this.base = null;
  }

  /** This server is active now: nothing is wanted of another. */
  ended(): void {
    this.base = null;
    this.isWantedWhole = false;
    this.set.inventory.wanted.clear();
  }

  /** So many deletions may be made by the next run. */
  confirm(deletions: number): void {
    this.confirmed = deletions;
  }

  /** What differs from what the active server has; null: that is not known. */
  differences(): Difference[] | null {
    const { inventory } = this.set;
    if (!this.isWantedWhole) return null;
    return differencesOf(inventory.comparison(inventory.wanted.differing(), inventory.extra()));
  }

  /**
   * One run: what has changed on the active server, or all of it, is asked for and made here.
   * @param isFresh both servers look at their files first
   * @param signal ends it. Throws `DirectionLost` then, and when this server may change nothing any more.
   */
  async run(isFresh: boolean, signal: AbortSignal): Promise<void> {
    const aside = Aside.now(this.set.calls, this.around.setAside, this.set.name);
    try {
      await this.runKeeping(aside, isFresh, signal);
    } finally {
      this.report.kept(aside);
    }
  }

  private async runKeeping(aside: Aside, isFresh: boolean, signal: AbortSignal): Promise<void> {
    const { set, around } = this;
    const client = around.client();
    const { way, epoch } = around.direction();
    if (client === null || way !== 'fetches' || signal.aborted) throw new DirectionLost();
    const mayChange = () => {
      const now = around.direction();
      if (now.way !== 'fetches' || now.epoch !== epoch || signal.aborted) throw new DirectionLost();
    };
    // a directory of the set may have been moved out of it since the last look at everything
    set.close();
    const since = this.base;
    const isFirst = since === null;
    const looks = isFresh || isFirst;
    // what has come of a manifest that breaks off is not what the active server has
    this.base = null;
    // guarded by nothing, but nothing goes: both servers have never had anything in common
    const inParts = isFirst && set.inventory.agreed.isEmpty && !set.configuration.atomic;
    const listener = this.manifestListener(epoch);
    const asking = client.manifest(set.name, { since, isFresh: looks, inParts, epoch }, listener, signal);
    // both servers look at the same time; before the first run there may be nothing to look at
    const [asked, looked] = await Promise.allSettled([asking, looks && !isFirst ? this.lookHere() : null]);
    if (asked.status === 'rejected') throw asked.reason;
    if (looked.status === 'rejected') throw looked.reason;
    mayChange();
    this.report.change({ reason: '' });
    if (isFirst) {
      this.makeRoot();
      await this.lookHere();
    }

    const tools = { client, epoch, mayChange, signal, listener, aside };
    const begunAtMs = performance.now();
    const { manifest, before } = await this.beginnings(asked.value, tools);
    // the direction may have been another one meanwhile, and what was wanted then forgotten
    mayChange();
    this.base = manifest.generation;
    this.isWantedWhole = true;
    const isSame = manifest.isPartial && manifest.lines === 0 && this.completeIn === set.inventory.generation;
    // what is wanted now is not in place before the run has ended well
    this.completeIn = null;
    const last = isSame ? NOTHING_DONE : await this.apply(tools, false);
    const result = {
      ...last,
      changed: last.changed + before.changed,
      receivedBytes: last.receivedBytes + before.receivedBytes,
    };
    if (result.awaiting === null) this.confirmed = 0;
    this.completeIn = isComplete(result) ? set.inventory.generation : null;
    if (isComplete(result)) this.since.note([], new Date());
    if (set.attributes.areRefused && !this.isToldOfAttributes) {
      this.isToldOfAttributes = true;
      const message = 'the file system here keeps no extended attributes, or not all: files are without them';
      this.report.once(set.configuration.path, message, 'warning', 'file-attributes-lost');
    }
    this.report.ran(result, performance.now() - begunAtMs);
    await this.keep(result.changed > 0);
    if (result.changed > LARGE_RUN) giveMemoryBack();
    // whoever is active knows by that, when the roles change, what the other has not got; it may have forgotten an earlier word
    if (isComplete(result)) await client.applied(set.name, manifest.generation, epoch, signal);
  }

  /** Makes what the active server has found so far, until its list is whole. Returns the last part of it, and what was done before. */
  private async beginnings(first: ManifestSummary, tools: RunTools) {
    const { client, epoch, mayChange, signal, listener } = tools;
    const before = { changed: 0, receivedBytes: 0 };
    let manifest = first;
    while (manifest.isUnfinished) {
      this.completeIn = null;
      const { changed, receivedBytes } = await this.apply(tools, true);
      before.changed += changed;
      before.receivedBytes += receivedBytes;
      const asked = { since: manifest.generation, isFresh: true, inParts: true, epoch };
      manifest = await client.manifest(this.set.name, asked, listener, signal);
      mayChange();
      // the active server's look may take hours, and a directory may have been moved out of the set
      this.set.close();
    }
    return { manifest, before };
  }

  /** Takes up what the active server has. */
  private manifestListener(epoch: number): ManifestListener {
    const { attributes, inventory } = this.set;
    const { wanted } = inventory;
    return {
      head: (head) => {
        if (head.epoch < epoch) throw new Error(`the peer is active under epoch ${head.epoch}, and ${epoch} has begun`);
        if (head.isPartial) return;
        this.isWantedWhole = false;
        wanted.clear();
      },
      entry: (entry) => wanted.set(entry.path, attributes.attainable(entry)),
      removed: (path) => wanted.delete(path),
    };
  }

  private async lookHere(): Promise<void> {
    const { set, report } = this;
    const found = await set.scanAll().catch((error: unknown) => {
      throw new Error(unreadable(set.configuration.path, error), { cause: error });
    });
    report.looked(found);
  }

  /** Makes the files what is wanted. What fails in a beginning is tried once more when everything is known. */
  private apply({ client, epoch, mayChange, signal, aside }: RunTools, isBeginning: boolean): Promise<RunResult> {
    const { set, around } = this;
    return syncRun(set, {
      openContent: (wants) => client.content(set.name, wants, epoch, signal),
      askChunks: (entry, average) => client.chunks(set.name, entry, average, epoch, signal),
      sync: around.sync,
      mayChange,
      pause: around.pause,
      aside,
      isBeginning,
      confirmedDeletions: this.confirmed,
      onDiffering: (paths) => this.since.note(paths, new Date()),
      onPending: (pendingFiles, pendingBytes) => {
        this.report.change({ pendingFiles, pendingBytes });
      },
    });
  }

  /** A set that this server has never had begins with an empty directory. */
  private makeRoot(): void {
    const { calls, configuration, inventory } = this.set;
    if (inventory.agreed.isEmpty) calls.mkdirSync(configuration.path, { recursive: true, mode: 0o755 });
  }
}
