/** How far pg_basebackup or pg_rewind is: `12345/67890 kB (18%)`. */
export interface CopyProgress {
  readonly doneBytes: number;
  readonly percent: number;
}

/** Reads one line of their progress output; null when it is something else. */
export function parseCopyProgress(line: string): CopyProgress | null {
  const match = /(\d+)\/(\d+) kB \((\d+)%\)/.exec(line);
  if (!match) return null;
  return { doneBytes: Number(match[1]) * 1024, percent: Math.min(100, Number(match[3])) };
}
