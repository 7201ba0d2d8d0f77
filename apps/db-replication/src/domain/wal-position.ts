/** Sizes that place a WAL position in a file; fixed at initdb, read from pg_control. */
export interface WalGeometry {
  readonly walBlockBytes: number;
  readonly walSegmentBytes: number;
}

const SHORT_PAGE_HEADER_BYTES = 24n;
const LONG_PAGE_HEADER_BYTES = 40n;
const RECORD_ALIGNMENT = 8;

/**
 * Where a WAL record ends. pg_control names the *start* of the shutdown checkpoint record, while a standby reports the end of
 * what it has flushed, so "has everything" is `flushed >= recordEnd(checkpoint)`.
 *
 * @param start position of the record's first byte (never inside a page header)
 * @param totalBytes `xl_tot_len` of the record
 */
export function recordEnd(start: bigint, totalBytes: number, geometry: WalGeometry): bigint {
  const block = BigInt(geometry.walBlockBytes);
  const segment = BigInt(geometry.walSegmentBytes);
  let remaining = BigInt(Math.ceil(totalBytes / RECORD_ALIGNMENT) * RECORD_ALIGNMENT);
  let position = start;
  for (;;) {
    const pageRemaining = block - (position % block);
    // A record that fills its page ends at the page boundary, before the next page's header.
    if (remaining <= pageRemaining) return position + remaining;
    remaining -= pageRemaining;
    position += pageRemaining;
    position += position % segment === 0n ? LONG_PAGE_HEADER_BYTES : SHORT_PAGE_HEADER_BYTES;
  }
}

/** Name of the WAL segment file that holds a position: timeline and segment number, 24 hexadecimal digits. */
export function segmentName(timeline: number, position: bigint, walSegmentBytes: number): string {
  const number = position / BigInt(walSegmentBytes);
  const perHigh = 0x1_0000_0000n / BigInt(walSegmentBytes);
  return [BigInt(timeline), number / perHigh, number % perHigh]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('');
}

/** Timeline and first byte of a WAL segment file, null when the name is not a segment's (history, partial and backup files are not). */
export function parseSegmentName(name: string, walSegmentBytes: number): { timeline: number; start: bigint } | null {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (!match) return null;
  const [, timeline, high, low] = match as unknown as [string, string, string, string];
  const perHigh = 0x1_0000_0000n / BigInt(walSegmentBytes);
  const number = BigInt(`0x${high}`) * perHigh + BigInt(`0x${low}`);
  return { timeline: Number.parseInt(timeline, 16), start: number * BigInt(walSegmentBytes) };
}

/** Name of the history file of a timeline. */
export function historyFileName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
}

/** The higher of two positions; null counts as unknown and loses. */
export function laterOf(left: bigint | null, right: bigint | null): bigint | null {
  if (left === null) return right;
  if (right === null) return left;
  return left > right ? left : right;
}
