import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Beat, OwnStatusChanged, StatusChangedHint, WatchPeer } from '@understudy/contracts';
import { Bus, BusError } from '@understudy/messaging';
import type { z } from 'zod';
import { BeatAnswerService } from '../services/beat-answer.service.ts';
import { PeerWatchService } from '../services/peer-watch.service.ts';
import { PinnedPeerService } from '../services/pinned-peer.service.ts';

/** What this controller hears and answers. */
export const HEARD = [Beat, StatusChangedHint, OwnStatusChanged, WatchPeer];

/** What others tell and ask this server's heartbeat. */
@Controller()
export class HeartbeatController {
  constructor(
    private readonly answers: BeatAnswerService,
    private readonly watch: PeerWatchService,
    private readonly pinned: PinnedPeerService,
    private readonly bus: Bus,
  ) {}

  /** Answered only with a fresh status of our own health-monitor; any refusal means "no sign of life" to the one who asks. */
  @MessagePattern(Beat.subject)
  async onBeat(@Payload() beat: z.output<typeof Beat.data>): Promise<z.input<typeof Beat.reply>> {
    const answer = await this.answers.answer(beat);
    if ('refusal' in answer) throw new BusError(answer.refusal, answer.message, true);
    return answer;
  }

  @EventPattern(StatusChangedHint.subject)
  onPeerStatusChanged(@Payload() _hint: object): void {
    this.watch.hint();
  }

  @EventPattern(OwnStatusChanged.subject)
  onOwnStatusChanged(@Payload() _change: object): void {
    this.bus.publish(StatusChangedHint, {});
  }

  @EventPattern(WatchPeer.subject)
  async onWatchPeer(@Payload() message: object): Promise<void> {
    const { peer } = message as z.output<typeof WatchPeer.data>; // checked by the bus; Nest's type knows objects only
    await this.pinned.told(peer);
  }
}
