/** Time as the program sees it; tests and the simulator put their own in its place. */
export interface Clock {
  /** Milliseconds on CLOCK_MONOTONIC: for deadlines and intervals. Means the same in every process of this machine until its next boot. */
  nowMs(): number;
  /** Unix time in milliseconds: shown to people, never used to decide. */
  unixMs(): number;
}

/** The machine's clock. */
export class SystemClock implements Clock {
  nowMs(): number {
    return Number(process.hrtime.bigint() / 1000n) / 1000;
  }

  unixMs(): number {
    return Date.now();
  }
}
