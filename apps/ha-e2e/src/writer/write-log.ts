/** One acknowledged row. Times in milliseconds of the monotonic clock. */
export interface Acknowledgement {
  readonly startMs: number;
  readonly atMs: number;
  readonly sequence: number;
  readonly host: string;
}

/** What was acknowledged in this time before its host died may not have left a primary that replicates asynchronously. */
const ON_ITS_WAY_MS = 1000;

/** Of lost rows those that an asynchronous primary may not lose with its host. @param takenOverMs when the other server served */
export function beyondAsynchronous(
  lost: readonly Acknowledgement[],
  { diedMs, takenOverMs }: { readonly diedMs: number; readonly takenOverMs: number },
): Acknowledgement[] {
  return lost.filter(({ atMs }) => atMs < diedMs - ON_ITS_WAY_MS || atMs > takenOverMs);
}

/** A time without acknowledged writes: from the acknowledgement before it to the one after it. */
export interface Outage {
  readonly lastMs: number;
  readonly durationMs: number;
}

/** A stretch of writes that one target acknowledged without a hole. */
export interface Span {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly rows: number;
}

/** What a writer told, as it grows line by line. */
export class WriteLog {
  readonly acknowledged: Acknowledgement[] = [];
  readonly unknown: { readonly atMs: number; readonly sequence: number }[] = [];
  readonly errors: { readonly atMs: number; readonly text: string }[] = [];

  /** Takes one line of the writer's output; see writer-process. */
  add(line: string): void {
    const [kind, ...fields] = line.split(' ');
    const number = (index: number) => Number(fields[index]);
    if (kind === 'a') {
      this.acknowledged.push({ startMs: number(0), atMs: number(1), sequence: number(2), host: fields[3] ?? '' });
    } else if (kind === 'u') {
      this.unknown.push({ atMs: number(0), sequence: number(1) });
    } else if (kind === 'e') {
      this.errors.push({ atMs: number(0), text: fields.slice(1).join(' ') });
    }
  }

  /** The longest time between two acknowledged writes in a row of which the second came after `sinceMs`; undefined when none did. */
  longestOutageSince(sinceMs: number): Outage | undefined {
    return this.acknowledged.reduce<Outage | undefined>((longest, current, index) => {
      const before = this.acknowledged[index - 1];
      if (!before || current.atMs <= sinceMs) return longest;
      const durationMs = current.atMs - before.atMs;
      return durationMs > (longest?.durationMs ?? -1) ? { lastMs: before.atMs, durationMs } : longest;
    }, undefined);
  }

  /** True when writes were acknowledged over the `forMs` before `nowMs`, no two of them more than `holeMs` apart. */
  isSteady(nowMs: number, forMs: number, holeMs: number): boolean {
    const recent = this.acknowledged.map((row) => row.atMs).filter((atMs) => atMs > nowMs - forMs - holeMs);
    const marks = [...recent, nowMs];
    const first = recent[0];
    if (first === undefined || first > nowMs - forMs) return false;
    return marks.every((atMs, index) => index === 0 || atMs - (marks[index - 1] ?? 0) <= holeMs);
  }

  /** Stretches of acknowledged writes; a pause longer than `holeMs` begins a new one. */
  spans(holeMs = 1500): Span[] {
    const spans: Span[] = [];
    for (const { atMs } of this.acknowledged) {
      const current = spans.at(-1);
      if (current && atMs - current.lastMs <= holeMs) {
        spans[spans.length - 1] = { firstMs: current.firstMs, lastMs: atMs, rows: current.rows + 1 };
      } else {
        spans.push({ firstMs: atMs, lastMs: atMs, rows: 1 });
      }
    }
    return spans;
  }

  /** The rows that were acknowledged and are not among the sequence numbers present. */
  lost(present: ReadonlySet<number>): Acknowledgement[] {
    return this.acknowledged.filter((row) => !present.has(row.sequence));
  }
}
