import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Chunk } from '../domain/chunks.ts';
import { STAGING } from '../domain/entry.ts';
import type { Frame } from '../domain/frames.ts';
import { Aside } from '../engine/aside.ts';
import { ExtendedAttributes } from '../engine/extended-attributes.ts';
import type { OpenContent } from '../engine/fetcher.ts';
import { chunksOf } from '../engine/file-chunks.ts';
import { FileSet } from '../engine/file-set.ts';
import { completeStep } from '../engine/generation.ts';
import type { Problem } from '../engine/scanner.ts';
import type { RunParts, RunResult } from '../engine/sync-run.ts';
import { syncRun } from '../engine/sync-run.ts';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';

/** Attributes of what is at a place, as text; empty: none. */
function attributesAt(place: Buffer): string {
  const fd = openSync(place, 'r');
  try {
    const attributes = new ExtendedAttributes(FILE_CALLS).read(fd);
    return attributes === undefined ? '' : `+${JSON.stringify(attributes)}`;
  } finally {
    closeSync(fd);
  }
}

/** What a directory holds, by path (bytes as Latin-1): kind, mode, attributes and content of each entry, as text. The staging directory is left out. */
export function treeOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const look = (directory: Buffer, prefix: string) => {
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      const path = `${prefix}${name.toString('latin1')}`;
      if (path === STAGING) continue;
      const place = Buffer.concat([directory, Buffer.from('/'), name]);
      const stats = lstatSync(place);
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isSymbolicLink()) found[path] = `link ${readlinkSync(place, { encoding: 'latin1' })}`;
      else if (stats.isDirectory()) {
        found[path] = `directory ${mode}${attributesAt(place)}`;
        look(place, `${path}/`);
      } else if (stats.isFile()) found[path] = `file ${mode}${attributesAt(place)} ${readFileSync(place, 'latin1')}`;
    }
  };
  look(Buffer.from(root), '');
  return found;
}

/** Files of the standby that were kept aside, and where. */
interface Kept {
  readonly paths: readonly string[];
  readonly folder: string;
}

/** Two directories of one set, and what goes from one to the other without a network between. */
export class TwoTrees {
  readonly directory = mkdtempSync(join(tmpdir(), 'understudy-files-'));
  readonly active = join(this.directory, 'active');
  readonly standby = join(this.directory, 'standby');
  readonly aside = join(this.directory, 'aside');
  readonly source: FileSet;
  sink: FileSet;

  constructor(private readonly settings: { include?: string[]; exclude?: string[]; atomic?: boolean } = {}) {
    mkdirSync(this.active);
    mkdirSync(this.standby);
    this.source = this.setAt(this.active);
    this.sink = this.setAt(this.standby);
  }

  /** The standby's service starts again: what it knew is gone, or kept. */
  restartSink(calls: FileCalls = FILE_CALLS, { keeps = false } = {}): void {
    const before = this.sink;
    before.close();
    this.sink = this.setAt(this.standby, calls);
    if (keeps) for (const [path, content] of before.inventory.agreed) this.sink.inventory.agreed.set(path, content);
  }

  /** What the standby's service does when it starts, before it knows of anybody. */
  completeStep(aside = this.asideNow()): Promise<readonly Problem[] | null> {
    return completeStep(this.sink, { sync: async () => undefined, pause: async () => undefined, aside });
  }

  /** Where a run, or the rest of a step, keeps aside what would be lost. */
  asideNow(): Aside {
    return Aside.now(this.sink.calls, this.aside, this.sink.name);
  }

  /** What an earlier process has kept aside and told nobody. */
  asideUntold(): Aside | null {
    return Aside.untold(this.sink.calls, this.aside, this.sink.name);
  }

  /** One run from the active to the standby. */
  async run(parts: Partial<RunParts> = {}): Promise<RunResult & { readonly kept: Kept | null }> {
    await this.source.scanAll();
    await this.sink.scanAll();
    const { wanted } = this.sink.inventory;
    wanted.clear();
    for (const { entry } of this.source.inventory.entries.values()) wanted.set(entry.path, entry);
    const aside = this.asideNow();
    const result = await syncRun(this.sink, {
      aside,
      openContent: this.content(),
      askChunks: ({ path }, average) => this.chunks(path, average),
      sync: async () => undefined,
      mayChange: () => undefined,
      pause: async () => undefined,
      confirmedDeletions: 0,
      // few, so that a run takes several turns
      entriesAtOnce: 3,
      onDiffering: () => undefined,
      onPending: () => undefined,
      ...parts,
    });
    return { ...result, kept: aside.kept.length === 0 ? null : { paths: aside.kept, folder: aside.folder } };
  }

  /** The content of files, as the active server would send it. */
  content(): OpenContent {
    const { source } = this;
    return async function* (wants): AsyncGenerator<Frame> {
      for (const [index, { path, offset, length }] of wants.entries()) {
        yield { kind: 'begin', index };
        const end = length === undefined ? undefined : offset + length;
        const bytes = readFileSync(source.tree().place(path)).subarray(offset, end);
        for (let at = 0; at < bytes.length; at += 1000) yield { kind: 'data', bytes: bytes.subarray(at, at + 1000) };
        yield { kind: 'end' };
      }
    };
  }

  /** The chunks of a file of the active server, as that would tell them. */
  async chunks(path: string, average: number): Promise<Chunk[]> {
    const { fd, stats } = this.source.tree().openFile(path);
    try {
      const chunks: Chunk[] = [];
      for await (const chunk of chunksOf(FILE_CALLS, fd, stats.size, average, this.source.pause)) chunks.push(chunk);
      return chunks;
    } finally {
      closeSync(fd);
    }
  }

  remove(): void {
    this.source.close();
    this.sink.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private setAt(path: string, calls: FileCalls = FILE_CALLS): FileSet {
    const { include = ['**'], exclude = [], atomic = false } = this.settings;
    const configuration = { name: 'set', path, class: 'realtime', include, exclude, atomic } as const;
    return new FileSet(configuration, calls, async () => undefined);
  }
}
