import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseController } from './controllers/database.controller.ts';
import { DatabaseEngine } from './engine/engine.ts';

/** The db-replication service. */
@Module({})
export class AppModule {
  static of(engine: DatabaseEngine): DynamicModule {
    return {
      module: AppModule,
      controllers: [DatabaseController],
      providers: [{ provide: DatabaseEngine, useValue: engine }],
    };
  }
}
