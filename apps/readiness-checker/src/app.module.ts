import { type DynamicModule, Module } from '@nestjs/common';
import { PeerIdentitySchema } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import { PeerIdentityFile, type ServiceEnvironment } from '@understudy/platform';
import { BusPeer } from './adapters/bus-peer.adapter.ts';
import { diskProbes } from './adapters/disk.adapter.ts';
import { machineProbes } from './adapters/machine.adapter.ts';
import { networkProbes } from './adapters/network.adapter.ts';
import { pairDatabaseProbes } from './adapters/pair-database.adapter.ts';
import { pathProbes } from './adapters/path.adapter.ts';
import { ReportFile } from './adapters/report-file.adapter.ts';
import { serviceProbes } from './adapters/services.adapter.ts';
import { ReadinessCheckerController } from './controllers/readiness-checker.controller.ts';
import { MeasuringService } from './services/measuring.service.ts';
import { PairGuard } from './services/pair-guard.ts';
import { ReadinessService } from './services/readiness.service.ts';

/** The readiness-checker service. */
@Module({})
export class AppModule {
  static of(env: ServiceEnvironment, bus: Bus): DynamicModule {
    const { configuration, paths, clock, logger } = env;
    const { node, readiness, storage } = configuration;
    const peerFile = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
    const readPeer = () => peerFile.read();
    const measuring = new MeasuringService([
      ...machineProbes(env),
      // before the disk: latency is measured first, while little is done
      ...pathProbes(env, readPeer),
      ...diskProbes(env),
      ...networkProbes(env),
      ...serviceProbes(env, bus),
      ...pairDatabaseProbes(env, readPeer),
    ]);
    const peer = new BusPeer(bus, peerFile);
    const store = new ReportFile(paths.readinessReport, logger);
    const requirements = { ...readiness, warnPercent: storage.warnPercent };
    const service = new ReadinessService(node.role, requirements, measuring, peer, store, clock, logger);
    return {
      module: AppModule,
      controllers: [ReadinessCheckerController],
      providers: [
        { provide: ReadinessService, useValue: service },
        { provide: MeasuringService, useValue: measuring },
        { provide: PairGuard, useValue: new PairGuard(async () => (await peerFile.read())?.pairId ?? null) },
      ],
    };
  }
}
