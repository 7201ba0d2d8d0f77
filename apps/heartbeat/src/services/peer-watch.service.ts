import { randomUUID } from 'node:crypto';
import { isTrusted, type PeerIdentity, trustedCertificates } from '@understudy/contracts';
import type { Clock, Logger } from '@understudy/platform';
import { BeatLedger, beatDeadlineMs } from '../domain/beat-ledger.ts';
import {
  climb,
  INITIAL_LADDER,
  type LadderEvent,
  type LadderOutput,
  type LadderState,
  type LadderTimes,
  nextRungAtMs,
} from '../domain/detection-ladder.ts';
import { type HintState, NO_HINTS, onExtraBeatDone, onHint } from '../domain/hint-coalescer.ts';
import type { BeatPort, FactsPort, ProbePort } from '../ports/heartbeat.ports.ts';

/** So many regular beats may be under way: with an interval shorter than a beat's deadline they overlap. */
const BEATS_UNDER_WAY_MAX = 2;
/** Least time between two extra beats, so that a chatty peer cannot make us beat without pause. */
const EXTRA_BEAT_GAP_MS = 20;

/**
 * Watches the peer: beats every interval and after a hint, opens its URL when the ladder says so, and reports facts. Decides
 * nothing about failover, and keeps nothing: after a restart it watches anew as soon as health-monitor says whom.
 */
export class PeerWatchService {
  private peer: PeerIdentity | null = null;
  private ladder: LadderState = INITIAL_LADDER;
  private hints: HintState = NO_HINTS;
  private readonly regular: BeatLedger;
  private readonly extra: BeatLedger;
  private readonly beatTimeoutMs: number;
  private missedBeats = 0;
  private nextBeatAtMs = 0;
  private lastExtraAtMs = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | null = null;
  private extraTimer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(
    private readonly times: LadderTimes,
    private readonly beats: BeatPort,
    private readonly probes: ProbePort,
    private readonly facts: FactsPort,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.beatTimeoutMs = beatDeadlineMs(times.intervalMs);
    this.regular = new BeatLedger(this.beatTimeoutMs, BEATS_UNDER_WAY_MAX);
    this.extra = new BeatLedger(this.beatTimeoutMs, 1);
  }

  /** The peer whose beats are to be answered; null: nobody's. */
  get watched(): PeerIdentity | null {
    return this.peer;
  }

  /** health-monitor says whom to watch. The same peer again changes nothing; another one begins anew. */
  watch(peer: PeerIdentity | null): void {
    if (this.stopped) return;
    const same = samePeer(this.peer, peer);
    this.peer = peer;
    if (same) return;
    this.regular.clear();
    this.extra.clear();
    const atMs = this.clock.nowMs();
    this.apply({ type: peer ? 'watch' : 'unwatch', atMs });
    this.logger.info(peer ? `Watching ${peer.name} (${peer.address})` : 'Watching nobody');
    this.nextBeatAtMs = atMs;
    this.schedule();
  }

  /** The peer hints that its status has changed: beat at once, and once more when a beat is under way already. */
  hint(): void {
    if (!this.peer || this.stopped) return;
    const { state, beat } = onHint(this.hints);
    this.hints = state;
    if (beat) this.beatExtra();
  }

  /** Our own bus came or went: silence while it is away is our fault, not the peer's. */
  busChanged(connected: boolean): void {
    if (this.stopped || this.ladder.busConnected === connected) return;
    const atMs = this.clock.nowMs();
    this.apply({ type: connected ? 'bus-restored' : 'bus-lost', atMs });
    if (connected) this.nextBeatAtMs = atMs;
    this.schedule();
  }

  /** Stops beating and reporting. */
  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    if (this.extraTimer) clearTimeout(this.extraTimer);
  }

  private readonly onTimer = (): void => {
    const atMs = this.clock.nowMs();
    this.apply({ type: 'tick', atMs });
    if (this.peer && this.ladder.busConnected && atMs >= this.nextBeatAtMs) {
      // A late timer does not make up for beats that were not sent.
      const onTimeMs = this.nextBeatAtMs + this.times.intervalMs;
      this.nextBeatAtMs = onTimeMs > atMs ? onTimeMs : atMs + this.times.intervalMs;
      void this.beat(this.regular);
    }
    this.schedule();
  };

  private schedule(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (!this.peer || this.stopped) return;
    const atMs = this.clock.nowMs();
    const dueAtMs = Math.min(
      atMs + this.times.intervalMs,
      this.ladder.busConnected ? this.nextBeatAtMs : Number.POSITIVE_INFINITY,
      nextRungAtMs(this.ladder, this.times) ?? Number.POSITIVE_INFINITY,
    );
    this.timer = setTimeout(this.onTimer, Math.max(0, Math.ceil(dueAtMs - atMs)));
  }

  /** One beat. Only a timely answer with the very nonce is a sign of life; everything else is silence. */
  private async beat(ledger: BeatLedger): Promise<void> {
    const peer = this.peer;
    if (!peer) return;
    const sent = ledger.send(randomUUID(), this.clock.nowMs());
    if (!sent) return;
    try {
      const answer = await this.beats.beat(peer, { ...sent, pairId: peer.pairId }, this.beatTimeoutMs);
      const atMs = this.clock.nowMs();
      const roundTripMs = answer.nonce === sent.nonce ? ledger.answer(answer.nonce, atMs) : null;
      if (roundTripMs === null || this.stopped || !samePeer(this.peer, peer)) return;
      if (answer.status.role !== peer.role) return; // an echo of ourselves is no sign of the peer's life
      this.apply({ type: 'heard', atMs });
      this.facts.peerHeard(answer.status, roundTripMs, atMs - roundTripMs, this.missedBeats);
    } catch (error) {
      if (ledger === this.regular) this.missedBeats += 1;
      this.logger.debug('A beat was not answered', { sequence: sent.sequence, error: String(error) });
    } finally {
      ledger.forget(sent.nonce);
    }
  }

  private beatExtra(): void {
    const waitMs = this.lastExtraAtMs + EXTRA_BEAT_GAP_MS - this.clock.nowMs();
    if (waitMs > 0) {
      this.extraTimer = setTimeout(() => void this.runExtraBeat(), Math.ceil(waitMs));
      return;
    }
    void this.runExtraBeat();
  }

  private async runExtraBeat(): Promise<void> {
    if (this.stopped) return;
    this.lastExtraAtMs = this.clock.nowMs();
    await this.beat(this.extra);
    const { state, beat } = onExtraBeatDone(this.hints);
    this.hints = state;
    if (beat) this.beatExtra();
  }

  private apply(event: LadderEvent): void {
    const before = this.ladder;
    const { state, outputs } = climb(before, event, this.times);
    this.ladder = state;
    if (event.type === 'heard' && before.statedAtMs !== null) this.logger.info('The peer is heard again');
    for (const output of outputs) this.perform(output, before);
  }

  private perform(output: LadderOutput, before: LadderState): void {
    switch (output.type) {
      case 'peer-lost':
        if (before.statedAtMs === null) this.logger.warn(`The peer is silent for ${output.silentMs} ms: lost`);
        this.facts.peerLost(output.silentMs, this.missedBeats);
        break;
      case 'peer-confirmed-lost':
        if (before.verdict?.answered !== false)
          this.logger.warn(`The peer is confirmed lost: its URL does not answer (${output.probe})`);
        this.facts.peerConfirmedLost(output.silentMs, output.probe);
        break;
      case 'peer-answered-probe':
        if (before.verdict?.answered !== true) this.logger.warn('The peer is silent, yet its URL answers');
        this.facts.peerAnsweredProbe(output.silentMs);
        break;
      case 'open-probe':
        void this.probe(output.id);
    }
  }

  private async probe(id: number): Promise<void> {
    const peer = this.peer;
    if (!peer) return;
    const verdict = await this.probes.open(peer, this.times.probeTimeoutMs);
    if (this.stopped) return;
    if (verdict.dissolved && samePeer(this.peer, peer)) this.facts.peerDissolvedPair(peer.pairId, verdict.replaced);
    this.apply({ type: 'probe-finished', atMs: this.clock.nowMs(), id, verdict });
    this.schedule();
  }
}

function samePeer(a: PeerIdentity | null, b: PeerIdentity | null): boolean {
  if (!a || !b) return a === b;
  return a.pairId === b.pairId && a.role === b.role && isSameServer(a, b);
}

/** A certificate that is renewed is trusted beside the new one for a while: the server is the same, and no beat is lost by it. */
function isSameServer(a: PeerIdentity, b: PeerIdentity): boolean {
  return a.fingerprint === b.fingerprint || trustedCertificates(a).some(({ fingerprint }) => isTrusted(b, fingerprint));
}
