import { Module } from '@nestjs/common';
import { FileSyncController } from './controllers/file-sync.controller.ts';

/** The file-sync service. */
@Module({ controllers: [FileSyncController] })
export class AppModule {}
