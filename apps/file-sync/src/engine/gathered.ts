import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { pack } from '../domain/frames.ts';
import type { Throttle } from '../domain/throttle.ts';

/** So much is gathered before it is written: many small files make one write. */
const GATHERED_BYTES = 256 * 1024;

/** Writes to a response, or to what leads to it, in large pieces, as fast as the peer takes them. */
export class Gathered {
  private buffer = Buffer.allocUnsafeSlow(GATHERED_BYTES);
  private length = 0;

  /** `isPacked`: what is gathered is frames, which the peer takes packed. */
  constructor(
    private readonly response: Writable,
    private readonly options: { readonly isPacked: boolean; readonly throttle: Throttle | null } = {
      isPacked: false,
      throttle: null,
    },
  ) {}

  /** Where more can be put; `take` tells how much that was. */
  get room(): Buffer {
    return this.buffer.subarray(this.length);
  }

  take(length: number): void {
    this.length += length;
  }

  /** @param bytes no more than are gathered at once */
  async write(bytes: Buffer): Promise<void> {
    if (bytes.length > this.room.length) await this.flush();
    this.take(bytes.copy(this.room));
  }

  async end(): Promise<void> {
    await this.flush();
    this.response.end();
  }

  async flush(): Promise<void> {
    if (this.length === 0) return;
    const whole = this.buffer.subarray(0, this.length);
    this.buffer = Buffer.allocUnsafeSlow(GATHERED_BYTES);
    this.length = 0;
    const sent = (this.options.isPacked && pack(whole)) || whole;
    const waitMs = this.options.throttle?.waitMs(sent.length, performance.now()) ?? 0;
    if (waitMs > 0) await delay(waitMs);
    if (this.response.destroyed) throw new Error('the peer has gone');
    if (this.response.write(sent)) return;
    await new Promise<void>((resolve, reject) => {
      const onClose = () => reject(new Error('the peer has gone'));
      this.response.once('close', onClose);
      this.response.once('drain', () => {
        this.response.off('close', onClose);
        resolve();
      });
    });
  }
}
