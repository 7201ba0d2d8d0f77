import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { workRequestOf } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';

/** What this service can be asked for. */
export const WORK = workRequestOf('readiness-checker');

/** Says plainly that the readiness checks are not there yet. */
@Controller()
export class ReadinessCheckerController {
  @MessagePattern(WORK.subject)
  work(): never {
    throw new BusError('not-yet-available', 'the readiness checks are not yet available');
  }
}
