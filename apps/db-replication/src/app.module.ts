import { type DynamicModule, Module } from '@nestjs/common';
import { DatabaseController } from './controllers/database.controller.ts';
import { DatabaseEngine } from './engine/engine.ts';
import { IncidentOutbox } from './engine/incident-outbox.ts';

/** The db-replication service. */
@Module({})
export class AppModule {
  static of(engine: DatabaseEngine, incidents: IncidentOutbox): DynamicModule {
    return {
      module: AppModule,
      controllers: [DatabaseController],
      providers: [
        { provide: DatabaseEngine, useValue: engine },
        { provide: IncidentOutbox, useValue: incidents },
      ],
    };
  }
}
