import { setTimeout as delay } from 'node:timers/promises';
import { AnnounceDissolution, RequestConsent, RequestHandover } from '@understudy/contracts';
import { type ConsentRequest, otherRole, type ServerRole } from '@understudy/ha-core';
import { EffectError, type PeerPort } from '@understudy/ha-runtime';
import { type Bus, BusError } from '@understudy/messaging';

const ATTEMPTS = 3;
const ANSWER_LIMIT_MS = 2000;

/**
 * The peer's health-monitor, over the pair link. A request that was not answered is repeated under the same nonce: the answer is the same.
 * `onUntold`: the peer has not answered the word that the pair is dissolved.
 */
export class PeerAdapter implements PeerPort {
  constructor(
    private readonly bus: Bus,
    private readonly ownRole: ServerRole,
    private readonly pairId: () => string | null,
    private readonly onUntold: () => void,
  ) {}

  async requestConsent(
    { epoch, nonce, knownLineage, knownFinalLsn }: ConsentRequest,
    signal: AbortSignal,
  ): Promise<{ granted: boolean; nonce: string; reason: string }> {
    const answer = await this.ask(signal, () =>
      this.bus.request(
        RequestConsent,
        { pairId: this.pairId() ?? '', nonce, epoch, knownLineage, knownFinalLsn },
        { timeoutMs: ANSWER_LIMIT_MS, role: this.peerRole },
      ),
    );
    return { granted: answer.granted, nonce: answer.nonce, reason: answer.reason };
  }

  async requestHandOver(
    { operationId, epoch }: { operationId: string; epoch: number },
    signal: AbortSignal,
  ): Promise<void> {
    const answer = await this.ask(signal, () =>
      this.bus.request(
        RequestHandover,
        { pairId: this.pairId() ?? '', operationId, epoch },
        { timeoutMs: ANSWER_LIMIT_MS, role: this.peerRole },
      ),
    );
    if (!answer.accepted) throw new EffectError('refused', `the peer refuses the hand-over: ${answer.reason}`);
  }

  async announceDissolution({ pairId }: { pairId: string }, signal: AbortSignal): Promise<void> {
    const timing = { timeoutMs: ANSWER_LIMIT_MS, role: this.peerRole };
    await this.ask(signal, () => this.bus.request(AnnounceDissolution, { pairId }, timing)).catch(() => {
      if (!signal.aborted) this.onUntold();
    });
  }

  private get peerRole(): ServerRole {
    return otherRole(this.ownRole);
  }

  private async ask<T>(signal: AbortSignal, request: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await request();
      } catch (error) {
        if (!(error instanceof BusError)) throw error;
        if (signal.aborted || attempt === ATTEMPTS)
          throw new EffectError('peer-unreachable', 'the other server does not answer');
        await delay(200);
      }
    }
  }
}
