import { type DynamicModule, Module } from '@nestjs/common';
import { FileSyncController } from './controllers/file-sync.controller.ts';
import { FileSyncService } from './services/file-sync.service.ts';

/** The file-sync service. */
@Module({})
export class AppModule {
  static of(service: FileSyncService): DynamicModule {
    return {
      module: AppModule,
      controllers: [FileSyncController],
      providers: [{ provide: FileSyncService, useValue: service }],
    };
  }
}
