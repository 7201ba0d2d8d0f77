import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const NoteSchema = z.object({ runId: z.string(), untilMs: z.number().nullable() });

/**
 * Until when this server may serve, in milliseconds of this machine's monotonic clock; null: it does not serve, or may without limit.
 * The health monitor notes it, for whoever has to know when the health monitor hangs or is dead.
 */
export type ServingNote = Pick<z.infer<typeof NoteSchema>, 'untilMs'>;

/** Where the note is, below the directory of the run-time files. */
export function servingNoteFile(runDirectory: string): string {
  return join(runDirectory, 'serving-right.json');
}

/** The content of a note. */
export function formatServingNote(runId: string, { untilMs }: ServingNote): string {
  return JSON.stringify({ runId, untilMs });
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
  const note = NoteSchema.parse(JSON.parse(text));
  return note.runId === runId ? { untilMs: note.untilMs } : null;
}
