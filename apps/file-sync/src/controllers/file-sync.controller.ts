import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { workRequestOf } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';

/** What this service can be asked for. */
export const WORK = workRequestOf('file-sync');

/** Says plainly that file synchronisation is not there yet. */
@Controller()
export class FileSyncController {
  @MessagePattern(WORK.subject)
  work(): never {
    throw new BusError('not-yet-available', 'file synchronisation is not yet available');
  }
}
