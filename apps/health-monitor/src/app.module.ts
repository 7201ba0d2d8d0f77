import { type DynamicModule, Module } from '@nestjs/common';
import { CERTIFICATES, CertificatesController } from './controllers/certificates.controller.ts';
import { MEETINGS, MeetingController } from './controllers/meeting.controller.ts';
import { ORDERS, OrdersController } from './controllers/orders.controller.ts';
import { QUERIES, QueriesController } from './controllers/queries.controller.ts';
import { REGISTRATION, RegistrationController } from './controllers/registration.controller.ts';
import {
  AuthenticationKeyStore,
  Bearers,
  MeetingClient,
  MeetingResponder,
  RegistrationResponder,
} from './registration/index.ts';
import { AuthenticationKeyChange } from './services/authentication-key-change.ts';
import type { CertificateCare } from './services/certificate-care.ts';
import { CertificateRenewal } from './services/certificate-renewal.ts';
import { CertificateTrust } from './services/certificate-trust.ts';
import { HealthMonitorService } from './services/health-monitor.service.ts';
import { MaintenanceService } from './services/maintenance.ts';
import { Pairing } from './services/pairing.ts';
import { PeerRecognition } from './services/peer-recognition.ts';
import { SharedVirtualIp } from './services/shared-virtual-ip.ts';
import { VirtualIpRequirements } from './virtual-ip/index.ts';

/** Everything that the controllers answer from. */
export interface HealthMonitorParts {
  readonly monitor: HealthMonitorService;
  readonly pairing: Pairing;
  readonly keys: AuthenticationKeyStore;
  readonly keyChange: AuthenticationKeyChange;
  readonly responder: RegistrationResponder;
  readonly meetings: { client: MeetingClient; responder: MeetingResponder; bearers: Bearers };
  readonly maintenance: MaintenanceService;
  readonly requirements: VirtualIpRequirements;
  readonly certificates: Pick<CertificateCare, 'renewal' | 'trust' | 'recognition'>;
  readonly sharedVirtualIp: SharedVirtualIp;
}

/** The messages that health-monitor answers. */
export const ANSWERED = [...ORDERS, ...QUERIES, ...REGISTRATION, ...MEETINGS, ...CERTIFICATES];

/** The health-monitor service. */
@Module({})
export class AppModule {
  static of(parts: HealthMonitorParts): DynamicModule {
    return {
      module: AppModule,
      controllers: [
        OrdersController,
        QueriesController,
        RegistrationController,
        MeetingController,
        CertificatesController,
      ],
      providers: [
        { provide: HealthMonitorService, useValue: parts.monitor },
        { provide: Pairing, useValue: parts.pairing },
        { provide: AuthenticationKeyStore, useValue: parts.keys },
        { provide: AuthenticationKeyChange, useValue: parts.keyChange },
        { provide: RegistrationResponder, useValue: parts.responder },
        { provide: MeetingClient, useValue: parts.meetings.client },
        { provide: MeetingResponder, useValue: parts.meetings.responder },
        { provide: Bearers, useValue: parts.meetings.bearers },
        { provide: MaintenanceService, useValue: parts.maintenance },
        { provide: VirtualIpRequirements, useValue: parts.requirements },
        { provide: CertificateRenewal, useValue: parts.certificates.renewal },
        { provide: CertificateTrust, useValue: parts.certificates.trust },
        { provide: PeerRecognition, useValue: parts.certificates.recognition },
        { provide: SharedVirtualIp, useValue: parts.sharedVirtualIp },
      ],
    };
  }
}
