import { createReadStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { contentOf, EntrySchema } from '../domain/entry.ts';
import type { FileSet } from './file-set.ts';

const LineSchema = z.strictObject({
  /** The pair whose servers have had it in common. */
  pair: z.string().optional(),
  entry: EntrySchema.optional(),
  inode: z.number().optional(),
  ctimeMs: z.number().optional(),
  isSettled: z.boolean().optional(),
  /** The content of the entry is what both servers had in common. */
  isAgreed: z.boolean().optional(),
  /** Path and content, where it is another. */
  agreed: z.tuple([z.string(), z.string()]).optional(),
});
/** Much more than the longest line. */
const WRITTEN_BYTES = 1024 * 1024;

/**
 * What this server knows of a set, over restarts: so that files need not be read again, and a file that was changed meanwhile is
 * recognised. Losing it loses nothing but time: what differs is then kept aside before it is replaced.
 */
export class StateFile {
  constructor(private readonly file: string) {}

  /** Fills a set that is empty so far. A line that cannot be read ends it: what comes after it is found out anew. */
  async load(set: FileSet): Promise<void> {
    const input = createReadStream(this.file);
    const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
    try {
      for await (const text of lines) {
        const { pair, entry, inode, ctimeMs, isSettled, isAgreed, agreed } = LineSchema.parse(JSON.parse(text));
        if (pair !== undefined) set.inventory.pair = pair;
        if (entry !== undefined && inode !== undefined && ctimeMs !== undefined)
          set.inventory.put({ entry, inode, ctimeMs, isSettled: isSettled ?? false }, false);
        if (entry !== undefined && isAgreed) set.inventory.agreed.set(entry.path, contentOf(entry));
        if (agreed !== undefined) set.inventory.agreed.set(...agreed);
      }
    } catch {
      // there is none yet, or it is damaged
    } finally {
      lines.close();
      input.destroy();
    }
  }

  /** Writes it anew, beside the old one. */
  async save(set: FileSet): Promise<void> {
    await mkdir(dirname(this.file), { recursive: true, mode: 0o700 });
    const unfinished = `${this.file}.tmp`;
    const handle = await open(unfinished, 'w', 0o600);
    try {
      // one buffer for all: a million lines would be a garbage of hundreds of MiB
      const buffer = Buffer.allocUnsafe(WRITTEN_BYTES);
      let length = 0;
      const flush = async () => {
        await handle.writeFile(buffer.subarray(0, length));
        length = 0;
      };
      const write = async (line: object) => {
        const text = `${JSON.stringify(line)}\n`;
        if (Buffer.byteLength(text) > buffer.length - length) await flush();
        length += buffer.write(text, length);
      };
      const { pair, entries, agreed } = set.inventory;
      if (pair !== null) await write({ pair });
      for (const { entry, inode, ctimeMs, isSettled } of entries.values()) {
        const isAgreed = agreed.get(entry.path) === contentOf(entry);
        await write({ entry, inode, ctimeMs, isSettled, isAgreed });
      }
      for (const path of [...agreed.differing()]) await write({ agreed: [path, agreed.get(path)] });
      await flush();
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, this.file);
  }
}
