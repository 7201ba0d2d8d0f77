import { type DynamicModule, Module } from '@nestjs/common';
import { Bus } from '@understudy/messaging';
import { HeartbeatController } from './controllers/heartbeat.controller.ts';
import { BeatAnswerService } from './services/beat-answer.service.ts';
import { PeerWatchService } from './services/peer-watch.service.ts';
import { PinnedPeerService } from './services/pinned-peer.service.ts';

/** Everything that the controller works with. */
export interface HeartbeatParts {
  readonly bus: Bus;
  readonly answers: BeatAnswerService;
  readonly watch: PeerWatchService;
  readonly pinned: PinnedPeerService;
}

/** The heartbeat service. */
@Module({})
export class AppModule {
  static of({ bus, answers, watch, pinned }: HeartbeatParts): DynamicModule {
    return {
      module: AppModule,
      controllers: [HeartbeatController],
      providers: [
        { provide: Bus, useValue: bus },
        { provide: BeatAnswerService, useValue: answers },
        { provide: PeerWatchService, useValue: watch },
        { provide: PinnedPeerService, useValue: pinned },
      ],
    };
  }
}
