/** The two servers of the pair by name. */
export type ServerName = 'alpha' | 'beta';

/** A row that a server acknowledged. Times in milliseconds of the machine's monotonic clock. */
export interface AcknowledgedWrite {
  /** Names the writer. With `sequence` it is the row's key. */
  readonly run: string;
  readonly sequence: number;
  readonly server: ServerName;
  /** Before it was sent. */
  readonly startMs: number;
  readonly acknowledgedMs: number;
  /** PostgreSQL's timeline in the statement that wrote it. */
  readonly timeline: number;
  readonly transaction: number;
}

/** Reads a line of an observer (see observer-process); undefined for those that tell of no acknowledged row. */
export function parseWrite(
  run: string,
  line: string,
  serverAt: (address: string) => ServerName,
): AcknowledgedWrite | undefined {
  const [kind, start, acknowledged, sequence, host = '', timeline, transaction] = line.split(' ');
  if (kind !== 'a') return undefined;
  return {
    run,
    sequence: Number(sequence),
    server: serverAt(host),
    startMs: Number(start),
    acknowledgedMs: Number(acknowledged),
    timeline: Number(timeline),
    transaction: Number(transaction),
  };
}

/** The longest time between two acknowledged rows in a row of which the second came between the two times; 0 when none did. */
export function longestOutageMs(writes: readonly AcknowledgedWrite[], fromMs: number, toMs: number): number {
  let longest = 0;
  for (let index = 1; index < writes.length; index++) {
    const { acknowledgedMs } = writes[index] as AcknowledgedWrite;
    if (acknowledgedMs <= fromMs || acknowledgedMs > toMs) continue;
    longest = Math.max(longest, acknowledgedMs - (writes[index - 1] as AcknowledgedWrite).acknowledgedMs);
  }
  return longest;
}
