import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Beat, OwnStatusChanged, StatusChangedHint, WatchPeer } from '@understudy/contracts';
import { Bus, BusError } from '@understudy/messaging';
import type { z } from 'zod';
import { BeatAnswerService } from '../services/beat-answer.service.ts';
import { PeerWatchService } from '../services/peer-watch.service.ts';

/** Answers the peer's beats, passes hints on, and hears from health-monitor whom to watch. */
@Controller()
export class BeatController {
  constructor(
    private readonly answers: BeatAnswerService,
    private readonly watch: PeerWatchService,
    private readonly bus: Bus,
  ) {}

  @MessagePattern(Beat.subject)
  async beat(@Payload() beat: z.output<typeof Beat.data>) {
    const answer = await this.answers.answer(beat);
    if ('refusal' in answer) throw new BusError(answer.refusal, answer.message, true);
    return answer;
  }

  @EventPattern(StatusChangedHint.subject)
  peerChanged(@Payload() _hint: object): void {
    this.watch.hint();
  }

  @EventPattern(OwnStatusChanged.subject)
  ownStatusChanged(@Payload() _change: object): void {
    this.bus.publish(StatusChangedHint, {});
  }

  @EventPattern(WatchPeer.subject)
  watchPeer(@Payload() { peer }: z.output<typeof WatchPeer.data>): void {
    this.watch.watch(peer);
  }
}

/** What this controller hears and answers. */
export const HEARD = [Beat, StatusChangedHint, OwnStatusChanged, WatchPeer];
