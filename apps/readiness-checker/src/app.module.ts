import { type DynamicModule, Module } from '@nestjs/common';
import { PeerIdentitySchema } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import { PeerIdentityFile, type ServiceEnvironment } from '@understudy/platform';
import { PairCounterparts } from './adapters/counterparts.adapter.ts';
import { diskProbes } from './adapters/disk.adapter.ts';
import { PacketFilter } from './adapters/firewall.adapter.ts';
import { machineProbes } from './adapters/machine.adapter.ts';
import { networkProbes } from './adapters/network.adapter.ts';
import { pairDatabaseProbes } from './adapters/pair-database.adapter.ts';
import { pathProbes } from './adapters/path.adapter.ts';
import { portProbes } from './adapters/ports.adapter.ts';
import { ReportFile } from './adapters/report-file.adapter.ts';
import { serviceProbes } from './adapters/services.adapter.ts';
import { ReadinessCheckerController } from './controllers/readiness-checker.controller.ts';
import { BothSidesService } from './services/both-sides.service.ts';
import { MeasuringService } from './services/measuring.service.ts';
import { OwnSideService } from './services/own-side.service.ts';
import { PairGuard } from './services/pair-guard.ts';
import { ReadinessService } from './services/readiness.service.ts';

/** The readiness-checker service. */
@Module({})
export class AppModule {
  static of(env: ServiceEnvironment, bus: Bus): DynamicModule {
    const { configuration, paths, clock, logger } = env;
    const { node, readiness, storage, ports } = configuration;
    const { healthMonitor, fileSync, pairLink, database } = ports;
    const peerFile = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
    const measuring = new MeasuringService([
      ...machineProbes(env),
      // before the disk: latency is measured first, while little is done
      ...pathProbes(env),
      ...diskProbes(env),
      ...networkProbes(env),
      ...serviceProbes(env, bus),
      ...pairDatabaseProbes(env),
      ...portProbes(env),
    ]);
    const counterparts = new PairCounterparts(bus, peerFile);
    const store = new ReportFile(paths.readinessReport, logger);
    const requirements = { ...readiness, warnPercent: storage.warnPercent };
    const own = new OwnSideService(measuring, new PacketFilter([healthMonitor, fileSync, pairLink, database]), clock);
    const bothSides = new BothSidesService(node.role, own, counterparts, clock);
    const service = new ReadinessService(requirements, bothSides, counterparts, store, clock, logger);
    return {
      module: AppModule,
      controllers: [ReadinessCheckerController],
      providers: [
        { provide: ReadinessService, useValue: service },
        { provide: OwnSideService, useValue: own },
        { provide: PairGuard, useValue: new PairGuard(peerFile) },
      ],
    };
  }
}
