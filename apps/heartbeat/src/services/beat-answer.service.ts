import type { PeerIdentity, ServerStatus } from '@understudy/contracts';
import type { OwnStatusPort } from '../ports/heartbeat.ports.ts';

/** Longest wait for our own health-monitor. */
const OWN_STATUS_DEADLINE_MAX_MS = 1000;
/** Answers that may be in the making at once; a peer sends three at most. */
const ANSWERS_UNDER_WAY_MAX = 8;

/** Why a beat was not answered with a status. To the one who asked none of them is a sign of life. */
export type BeatRefusal = 'not-paired' | 'wrong-pair' | 'busy' | 'no-own-status';

/** Answers the peer's beats in the name of this server: alive means that its health-monitor answers, now. */
export class BeatAnswerService {
  private underWay = 0;
  private readonly deadlineMs: number;

  constructor(
    intervalMs: number,
    private readonly watched: () => PeerIdentity | null,
    private readonly own: OwnStatusPort,
  ) {
    this.deadlineMs = Math.min(OWN_STATUS_DEADLINE_MAX_MS, intervalMs);
  }

  /** The answer to one beat, or why there is none. Never rejects. */
  async answer(beat: {
    nonce: string;
    pairId: string;
  }): Promise<{ nonce: string; status: ServerStatus } | { refusal: BeatRefusal; message: string }> {
    const peer = this.watched();
    if (!peer) return { refusal: 'not-paired', message: 'this server does not watch a peer' };
    if (beat.pairId !== peer.pairId)
      return { refusal: 'wrong-pair', message: `the beat is of pair ${beat.pairId}, not of ours` };
    if (this.underWay >= ANSWERS_UNDER_WAY_MAX)
      return { refusal: 'busy', message: `${this.underWay} answers are in the making` };
    this.underWay += 1;
    try {
      return { nonce: beat.nonce, status: await this.own.ownStatus(this.deadlineMs) };
    } catch (error) {
      return { refusal: 'no-own-status', message: `own health-monitor gave no status: ${String(error)}` };
    } finally {
      this.underWay -= 1;
    }
  }
}
