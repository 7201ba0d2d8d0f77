import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const NoteSchema = z.object({
  runId: z.string(),
  untilMs: z.number().nullable(),
  // one of an earlier release does not have it, and its end counts all the same
  virtualIp: z
    .object({ interface: z.string(), prefixes: z.array(z.string()) })
    .nullable()
    .default(null),
});

/**
 * `untilMs`: until when this server may serve, in milliseconds of this machine's monotonic clock; null: it does not serve, or may without
 * limit. `virtualIp`: what no client may reach it by when that has ended, as addresses with a prefix length; null: nothing.
 * The health monitor notes it, for whoever has to know when the health monitor hangs or is dead.
 */
export type ServingNote = Omit<z.infer<typeof NoteSchema>, 'runId'>;

/** Where the note is, below the directory of the run-time files. */
export function servingNoteFile(runDirectory: string): string {
  return join(runDirectory, 'serving-right.json');
}

/** The content of a note. */
export function formatServingNote(runId: string, { untilMs, virtualIp }: ServingNote): string {
  return JSON.stringify({ runId, untilMs, virtualIp });
}

/** What is noted in the file; null when that is nothing, or of another run of the server. */
export function readServingNote(file: string, runId: string): ServingNote | null {
  try {
    return parseServingNote(readFileSync(file, 'utf8'), runId);
  } catch {
    return null;
  }
}

/** Null when it is of another run of the server, and so says nothing. Throws when it is no note. */
export function parseServingNote(text: string, runId: string): ServingNote | null {
  const { runId: ofRun, ...note } = NoteSchema.parse(JSON.parse(text));
  return ofRun === runId ? note : null;
}
