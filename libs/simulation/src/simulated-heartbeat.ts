import type { PeerView } from '@understudy/ha-core';
import type { Life } from './life.ts';

/** So many intervals of silence mean lost, and so many that the URL is opened. */
export const LOST_BEATS = 3;
export const CONFIRMED_BEATS = 5;
/** A longer gap between two looks, in intervals: this server stood still, and the silence proves nothing. */
const STALL_BEATS = 2;

/** The same times as a configuration has them, in seconds. */
export function heartbeatTimes(beatSeconds: number) {
  return {
    intervalSeconds: beatSeconds,
    missedLimit: LOST_BEATS,
    graceSeconds: (CONFIRMED_BEATS - LOST_BEATS) * beatSeconds,
    probeTimeoutSeconds: beatSeconds,
  };
}

/** What a heartbeat needs of its server. */
export interface HeartbeatPlace {
  /** The pair of the pinned peer; null: nobody is watched. */
  pin(): string | null;
  /** Asks the peer for its status. Rejects when there is no answer in time. */
  askPeer(pairId: string, timeoutMs: number): Promise<PeerView>;
  /** What the peer's Health Monitor URL says: nothing at all, or whether that pair was dissolved. */
  openUrl(pairId: string): { readonly dissolved: boolean } | null;
  heard(status: PeerView, sentAtMs: number): void;
  lost(fact: 'peer-lost' | 'peer-confirmed-lost' | 'peer-answered-probe'): void;
  dissolved(pairId: string): void;
}

/** Beats, and tells how long the peer has been silent. Only an answer to a beat of a short while ago is a sign of life. */
export class SimulatedHeartbeat {
  private watched: string | null = null;
  heardAtMs: number;
  private lookedAtMs: number;
  private extra: 'none' | 'under way' | 'once more' = 'none';

  constructor(
    private readonly life: Life,
    private readonly place: HeartbeatPlace,
    private readonly beatMs: number,
    firstMs: number,
  ) {
    this.heardAtMs = life.nowMs;
    this.lookedAtMs = life.nowMs;
    life.every(beatMs, firstMs, () => {
      this.look();
      void this.beat();
    });
  }

  /** The peer hints that its status has changed: beats at once, and once more when a beat is under way already. */
  hint(): void {
    if (this.extra !== 'none') {
      this.extra = 'once more';
      return;
    }
    this.extra = 'under way';
    void this.beat().then(() => {
      const isDue = this.extra === 'once more';
      this.extra = 'none';
      if (isDue) this.hint();
    });
  }

  private async beat(): Promise<void> {
    const pin = this.place.pin();
    if (pin === null) return;
    const sentAtMs = this.life.nowMs;
    const status = await this.place.askPeer(pin, this.beatMs).catch(() => null);
    if (status === null || this.place.pin() !== pin) return;
    this.heardAtMs = this.life.nowMs;
    this.place.heard(status, sentAtMs);
  }

  private look(): void {
    const pin = this.place.pin();
    const { nowMs } = this.life;
    if (pin !== this.watched || nowMs - this.lookedAtMs > STALL_BEATS * this.beatMs) this.heardAtMs = nowMs;
    this.watched = pin;
    this.lookedAtMs = nowMs;
    const silentBeats = (nowMs - this.heardAtMs) / this.beatMs;
    if (pin === null || silentBeats < LOST_BEATS) return;
    this.place.lost('peer-lost');
    if (silentBeats < CONFIRMED_BEATS) return;
    const url = this.place.openUrl(pin);
    if (url?.dissolved) this.place.dissolved(pin);
    this.place.lost(url === null ? 'peer-confirmed-lost' : 'peer-answered-probe');
  }
}
