import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { workRequestOf } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';

/** What this service can be asked for. */
export const WORK = workRequestOf('notifier');

/** Says plainly that notifications are not there yet. */
@Controller()
export class NotifierController {
  @MessagePattern(WORK.subject)
  work(): never {
    throw new BusError('not-yet-available', 'notifications are not yet available');
  }
}
