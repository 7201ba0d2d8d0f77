import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { workRequestOf } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';

/** What this service can be asked for. */
export const WORK = workRequestOf('patch-manager');

/** Says plainly that software update is not there yet. */
@Controller()
export class PatchManagerController {
  @MessagePattern(WORK.subject)
  work(): never {
    throw new BusError('not-yet-available', 'software update is not yet available');
  }
}
