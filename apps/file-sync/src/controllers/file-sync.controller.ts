import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { ConfirmDeletion, FileDifferencesQuery, FilesQuery, HandOverFiles } from '@understudy/contracts';
import type { z } from 'zod';
import { FileSyncService } from '../services/file-sync.service.ts';

/** What this controller answers. */
export const ANSWERED = [FilesQuery, FileDifferencesQuery, ConfirmDeletion, HandOverFiles];

/** Answers what is asked about file sets, and takes the operator's word. */
@Controller()
export class FileSyncController {
  constructor(private readonly service: FileSyncService) {}

  @MessagePattern(FilesQuery.subject)
  files() {
    return this.service.view;
  }

  @MessagePattern(FileDifferencesQuery.subject)
  differences(@Payload() { fileSet }: z.output<typeof FileDifferencesQuery.data>) {
    return this.service.differences(fileSet);
  }

  @MessagePattern(ConfirmDeletion.subject)
  confirmDeletion(@Payload() { fileSet }: z.output<typeof ConfirmDeletion.data>) {
    return this.service.confirmDeletion(fileSet);
  }

  @MessagePattern(HandOverFiles.subject)
  handOver(@Payload() { epoch, limitMs }: z.output<typeof HandOverFiles.data>) {
    return this.service.handOver(epoch, limitMs);
  }
}
