import { randomUUID } from 'node:crypto';
import type { FileSetConfiguration } from '@understudy/platform';
import { contentOf, type RelativePath } from '../domain/entry.ts';
import { type Selection, selectionOf } from '../domain/selection.ts';
import { Throttle } from '../domain/throttle.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { Inventory } from './inventory.ts';
import { Scanner, type ScanResult } from './scanner.ts';
import { Tree } from './tree.ts';

const MIB = 1024 * 1024;

/** One file set on this server: what is in it, and one piece of work on it at a time. */
export class FileSet {
  readonly inventory = new Inventory();
  /** What both servers are known to have had in common last: content by path. */
  readonly agreed = new Map<RelativePath, string>();
  readonly selection: Selection;
  /** Of what is sent of the set; null: as fast as the link takes it. */
  readonly throttle: Throttle | null;
  private readonly run = randomUUID();
  private opened: Tree | null = null;
  private work: Promise<unknown> = Promise.resolve();

  constructor(
    readonly configuration: FileSetConfiguration,
    readonly calls: FileCalls,
    readonly pause: () => Promise<void>,
  ) {
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

  /** Looks at everything. Throws when the root cannot be read. */
  scanAll(): Promise<ScanResult> {
    const tree = this.reopen();
    return new Scanner(this.calls, tree, this.selection, this.inventory, this.pause).scanAll();
  }

  /** Looks at what is known to have changed. */
  scan(paths: readonly RelativePath[]): Promise<ScanResult> {
    return new Scanner(this.calls, this.tree(), this.selection, this.inventory, this.pause).scan(paths);
  }

  /** The peer has everything up to a generation of this run. */
  peerHas(generation: number): void {
    for (const { entry, generation: since } of this.inventory.entries.values())
      if (since <= generation) this.agreed.set(entry.path, contentOf(entry));
    for (const path of [...this.agreed.keys()]) if (!this.inventory.entries.has(path)) this.agreed.delete(path);
  }

  close(): void {
    this.opened?.close();
    this.opened = null;
  }
}
