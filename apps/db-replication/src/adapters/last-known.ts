/**
 * A value read from where a read can hang (a disk), for whoever must not: at most one read is under way at any time, and who asks
 * gets its result or, after the deadline, the last value there was.
 */
export class LastKnown<T> {
  private reading: Promise<T> | null = null;

  constructor(
    private readonly read: () => Promise<T>,
    private value: T,
  ) {}

  /** The last value read, without reading. */
  get last(): T {
    return this.value;
  }

  /** Reads anew, for at most `deadlineMs`; then, and when reading fails, the last value. */
  async get(deadlineMs: number): Promise<T> {
    this.reading ??= this.read()
      .then((value) => {
        this.value = value;
        return value;
      })
      .finally(() => {
        this.reading = null;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<T>((resolve) => {
      timer = setTimeout(() => resolve(this.value), deadlineMs);
    });
    try {
      return await Promise.race([this.reading.catch(() => this.value), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
