import { randomUUID } from 'node:crypto';
import type { FileSetConfiguration } from '@understudy/platform';
import type { RelativePath } from '../domain/entry.ts';
import { type Selection, selectionOf } from '../domain/selection.ts';
import { Throttle } from '../domain/throttle.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import type { ChangeWatch } from './change-watch.ts';
import { ExtendedAttributes } from './extended-attributes.ts';
import { Inventory } from './inventory.ts';
import { listingDigest } from './listing.ts';
import { Scanner, type ScanResult } from './scanner.ts';
import { Tree } from './tree.ts';

const MIB = 1024 * 1024;
/** What a long look has found so far can be told so often. */
const PART_MS = 500;

/** One file set on this server: what is in it, and one piece of work on it at a time. */
export class FileSet {
  /** Owners can be given here: this process is root. */
  readonly withOwner = process.getuid?.() === 0;
  readonly inventory = new Inventory(this.withOwner);
  readonly selection: Selection;
  readonly attributes: ExtendedAttributes;
  /** Of what is sent of the set; null: as fast as the link takes it. */
  readonly throttle: Throttle | null;
  private readonly run = randomUUID();
  private opened: Tree | null = null;
  private following: ChangeWatch | null = null;
  /** What the last look at everything has found, when there is nothing in it to be looked at once more. */
  private looked: { readonly digest: string; readonly generation: number; readonly result: ScanResult } | null = null;
  private pruned: readonly RelativePath[] = [];
  private growth = Promise.withResolvers<void>();
  private work: Promise<unknown> = Promise.resolve();

  constructor(
    readonly configuration: FileSetConfiguration,
    readonly calls: FileCalls,
    readonly pause: () => Promise<void>,
    private readonly partMs = PART_MS,
  ) {
    this.attributes = new ExtendedAttributes(calls);
    this.selection = selectionOf(configuration.include, configuration.exclude);
    const { maxMibPerSecond } = configuration;
    this.throttle = maxMibPerSecond === undefined ? null : new Throttle(maxMibPerSecond * MIB);
  }

  get name(): string {
    return this.configuration.name;
  }

  /** The present generation, as the peer is told: one of another run of this service means nothing in this one. */
  get generation(): string {
    return `${this.run}.${this.inventory.generation}`;
  }

  /** The number of a generation of this run; null for any other. */
  numberOf(generation: string | null): number | null {
    return generation?.startsWith(`${this.run}.`) ? Number(generation.slice(this.run.length + 1)) : null;
  }

  /** Does one piece of work after the other. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.work.then(work, work);
    this.work = result.catch(() => undefined);
    return result;
  }

  /** The opened root. Throws as `open(2)` does when there is none. */
  tree(): Tree {
    this.opened ??= Tree.open(this.calls, this.configuration.path);
    return this.opened;
  }

  /** Opens the root anew: what is found under its path may be another directory by now. */
  reopen(): Tree {
    this.close();
    return this.tree();
  }

  /** What follows the directories of the set from the next look at them on. */
  follow(watch: ChangeWatch | null): void {
    this.following = watch;
    this.looked = null;
  }

  /** Looks at everything. Throws when the root cannot be read. */
  async scanAll(): Promise<ScanResult> {
    const tree = this.reopen();
    const { inventory, pruned, looked } = this;
    // a listing says nothing of the root: it may be another one that is as empty
    this.following?.follow('', this.calls.fstatSync(tree.directory('')), tree.inside(''));
    const digest = await listingDigest(tree.rootForOthers, pruned);
    if (digest !== null && digest === looked?.digest && inventory.generation === looked.generation)
      return looked.result;
    // files that belong together are told together
    const onPart = this.configuration.atomic ? null : () => this.grown();
    const result = await this.scanner(tree, onPart).scanAll();
    this.grown();
    this.pruned = result.pruned;
    const isDone = !result.isUnsettled && result.problems.every(({ isSkipped }) => isSkipped);
    const { generation } = inventory;
    this.looked = isDone && digest !== null ? { digest, generation, result: { ...result, changed: 0 } } : null;
    return result;
  }

  /** Resolves when a look at everything has found something after a generation (null: anything), before its end if that is far. */
  async grows(generation: number | null): Promise<void> {
    if (generation === null || this.inventory.generation <= generation) await this.growth.promise;
  }

  private grown(): void {
    this.growth.resolve();
    this.growth = Promise.withResolvers();
  }

  /** Looks at what is known to have changed. */
  scan(paths: readonly RelativePath[]): Promise<ScanResult> {
    return this.scanner(this.tree()).scan(paths);
  }

  private scanner(tree: Tree, onPart: (() => void) | null = null): Scanner {
    const { calls, selection, attributes, inventory, pause, following: watch } = this;
    return new Scanner({ calls, tree, selection, attributes, inventory, pause, watch, onPart, partMs: this.partMs });
  }

  close(): void {
    this.opened?.close();
    this.opened = null;
  }
}
