import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import type { ServiceEnvironment } from '@understudy/platform';
import { hostForUrl, type NodeStore } from '@understudy/platform';
import { LocalFilesAdapter } from './adapters/local-files.adapter.ts';
import { SessionStoreAdapter } from './adapters/session-store.adapter.ts';
import { AuthController } from './controllers/auth.controller.ts';
import { CandidateController } from './controllers/candidate.controller.ts';
import { CertificatesController } from './controllers/certificates.controller.ts';
import { DocsController } from './controllers/docs.controller.ts';
import { EventsController } from './controllers/events.controller.ts';
import { FilesController } from './controllers/files.controller.ts';
import { HaController } from './controllers/ha.controller.ts';
import { NotYetController } from './controllers/not-yet.controller.ts';
import { OperationsController } from './controllers/operations.controller.ts';
import { PageController } from './controllers/page.controller.ts';
import { PairController } from './controllers/pair.controller.ts';
import { ProbesController } from './controllers/probes.controller.ts';
import { ReadinessController } from './controllers/readiness.controller.ts';
import { SessionGuard } from './controllers/session.guard.ts';
import { Clock } from './ports/clock.port.ts';
import { LocalFiles } from './ports/local-files.port.ts';
import { MessageBus } from './ports/message-bus.port.ts';
import { SessionStore } from './ports/session-store.port.ts';
import { CertificatesService } from './services/certificates.service.ts';
import { EventFeedService } from './services/event-feed.service.ts';
import { HealthMonitorService } from './services/health-monitor.service.ts';
import { LoginService } from './services/login.service.ts';
import { ReadinessCheckerService } from './services/readiness-checker.service.ts';
import { ReadinessGateService, RegistrationGateService } from './services/registration-gate.service.ts';
import { SessionService } from './services/session.service.ts';
import { VersionService } from './services/version.service.ts';

/** What the gateway is wired to. */
export interface GatewayParts {
  readonly bus: MessageBus;
  /** The node store, null while there is none. */
  readonly store: () => NodeStore | null;
}

/** The public HTTP surface of one server. */
@Module({})
export class ApiGatewayModule {
  static for(
    { configuration, paths, clock, version }: ServiceEnvironment,
    { bus, store }: GatewayParts,
  ): DynamicModule {
    const { name, address } = configuration.node;
    const ownUrl = `https://${hostForUrl(address)}:${configuration.ports.healthMonitor}`;
    return {
      module: ApiGatewayModule,
      controllers: [
        AuthController,
        HaController,
        EventsController,
        OperationsController,
        ReadinessController,
        CandidateController,
        CertificatesController,
        FilesController,
        PairController,
        ProbesController,
        DocsController,
        PageController,
        // Last: its patterns are the widest.
        NotYetController,
      ],
      providers: [
        { provide: MessageBus, useValue: bus },
        { provide: Clock, useValue: clock },
        { provide: LocalFiles, useValue: new LocalFilesAdapter(paths) },
        { provide: SessionStore, useValue: new SessionStoreAdapter(store, () => clock.unixMs()) },
        { provide: VersionService, useValue: new VersionService(version, name, ownUrl) },
        { provide: APP_GUARD, useClass: SessionGuard },
        HealthMonitorService,
        ReadinessCheckerService,
        SessionService,
        LoginService,
        EventFeedService,
        RegistrationGateService,
        ReadinessGateService,
        CertificatesService,
      ],
    };
  }
}
