import { createReadStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { EntrySchema } from '../domain/entry.ts';
import type { FileSet } from './file-set.ts';

const LineSchema = z.strictObject({
  entry: EntrySchema.optional(),
  inode: z.number().optional(),
  ctimeMs: z.number().optional(),
  isSettled: z.boolean().optional(),
  /** Path and content. */
  agreed: z.tuple([z.string(), z.string()]).optional(),
});
const LINES_AT_ONCE = 2000;

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
        const { entry, inode, ctimeMs, isSettled, agreed } = LineSchema.parse(JSON.parse(text));
        if (entry !== undefined && inode !== undefined && ctimeMs !== undefined)
          set.inventory.put({ entry, inode, ctimeMs, isSettled: isSettled ?? false }, false);
        if (agreed !== undefined) set.agreed.set(...agreed);
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
      let lines: string[] = [];
      const write = async (line: object, atOnce: number) => {
        lines.push(JSON.stringify(line));
        if (lines.length < atOnce) return;
        await handle.writeFile(`${lines.join('\n')}\n`);
        lines = [];
      };
      for (const { entry, inode, ctimeMs, isSettled } of [...set.inventory.entries.values()])
        await write({ entry, inode, ctimeMs, isSettled }, LINES_AT_ONCE);
      for (const agreed of [...set.agreed]) await write({ agreed }, LINES_AT_ONCE);
      if (lines.length > 0) await handle.writeFile(`${lines.join('\n')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, this.file);
  }
}
