import { type DynamicModule, Module } from '@nestjs/common';
import { Bus } from '@understudy/messaging';
import { BeatController } from './controllers/beat.controller.ts';
import { BeatAnswerService } from './services/beat-answer.service.ts';
import { PeerWatchService } from './services/peer-watch.service.ts';

/** The heartbeat service. */
@Module({})
export class AppModule {
  static of(parts: { bus: Bus; answers: BeatAnswerService; watch: PeerWatchService }): DynamicModule {
    return {
      module: AppModule,
      controllers: [BeatController],
      providers: [
        { provide: Bus, useValue: parts.bus },
        { provide: BeatAnswerService, useValue: parts.answers },
        { provide: PeerWatchService, useValue: parts.watch },
      ],
    };
  }
}
