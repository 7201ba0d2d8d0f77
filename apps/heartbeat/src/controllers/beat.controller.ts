import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { Beat } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import type { z } from 'zod';
import { BeatAnswerService } from '../services/beat-answer.service.ts';

/** Answers the peer's beats. */
@Controller()
export class BeatController {
  constructor(private readonly answers: BeatAnswerService) {}

  @MessagePattern(Beat.subject)
  async beat(@Payload() beat: z.output<typeof Beat.data>) {
    const answer = await this.answers.answer(beat);
    if ('refusal' in answer) throw new BusError(answer.refusal, answer.message, true);
    return answer;
  }
}

/** What this controller answers. */
export const HEARD = [Beat];
