import { type AsyncSubscription, subscribe } from '@parcel/watcher';
import { type RelativePath, STAGING } from '../domain/entry.ts';

/** The watcher itself gathers what comes close together. */
const GATHER_MS = 5;
const REPLACEMENT = '\ufffd';

/** What the system has told: paths that may have changed; null: something was missed, everything may have. */
export type OnChange = (paths: readonly RelativePath[] | null) => void;

/** Follows a directory by the operating system's notification. What it misses, the schedule finds. */
export class ChangeWatch {
  private readonly paths = new Set<RelativePath>();
  private missed = false;
  private timer: NodeJS.Timeout | null = null;
  private subscription: AsyncSubscription | null = null;
  private closed = false;

  private constructor(
    private readonly root: string,
    private readonly onChange: OnChange,
  ) {}

  /** Rejects when the system cannot watch it, e.g. because its limit of watched directories is reached. */
  static async open(root: string, onChange: OnChange): Promise<ChangeWatch> {
    const watch = new ChangeWatch(root, onChange);
    const subscription = await subscribe(
      root,
      (error, events) => {
        if (error) watch.missed = true;
        for (const { path } of events ?? []) watch.note(path);
        watch.tellSoon();
      },
      { ignore: [STAGING] },
    );
    watch.subscription = subscription;
    return watch;
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
    await this.subscription?.unsubscribe().catch(() => undefined);
  }

  private note(path: string): void {
    const relative = path.startsWith(`${this.root}/`) ? path.slice(this.root.length + 1) : '';
    // a name that is not UTF-8 cannot be told by the text
    if (relative === '' || relative.includes(REPLACEMENT)) this.missed = true;
    else this.paths.add(Buffer.from(relative).toString('latin1'));
  }

  private tellSoon(): void {
    if (this.timer !== null || this.closed || (this.paths.size === 0 && !this.missed)) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      const paths = this.missed ? null : [...this.paths];
      this.paths.clear();
      this.missed = false;
      this.onChange(paths);
    }, GATHER_MS);
  }
}
