import type { Clock } from '@understudy/platform';

const OPEN_MAX = 16;
const LIFETIME_MS = 30_000;

/** Handshakes that wait for their proof, by the nonce of their challenge. Each can be taken once, for 30 s; of more than 16 the oldest gives way. */
export class OpenHandshakes<Handshake> {
  private readonly open = new Map<string, { readonly handshake: Handshake; readonly expiresAtMs: number }>();

  constructor(private readonly clock: Clock) {}

  remember(nonce: string, handshake: Handshake): void {
    const atMs = this.clock.nowMs();
    for (const [old, { expiresAtMs }] of this.open)
      if (expiresAtMs < atMs || this.open.size >= OPEN_MAX) this.open.delete(old);
    this.open.set(nonce, { handshake, expiresAtMs: atMs + LIFETIME_MS });
  }

  /** Null: unknown, used already, or too old. */
  take(nonce: string): Handshake | null {
    const found = this.open.get(nonce);
    this.open.delete(nonce);
    return found === undefined || this.clock.nowMs() > found.expiresAtMs ? null : found.handshake;
  }

  clear(): void {
    this.open.clear();
  }
}
