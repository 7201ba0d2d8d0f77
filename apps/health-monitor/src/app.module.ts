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
  static of({
    monitor,
    pairing,
    keys,
    keyChange,
    responder,
    meetings,
    maintenance,
    requirements,
    certificates,
    sharedVirtualIp,
  }: HealthMonitorParts): DynamicModule {
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
        { provide: HealthMonitorService, useValue: monitor },
        { provide: Pairing, useValue: pairing },
        { provide: AuthenticationKeyStore, useValue: keys },
        { provide: AuthenticationKeyChange, useValue: keyChange },
        { provide: RegistrationResponder, useValue: responder },
        { provide: MeetingClient, useValue: meetings.client },
        { provide: MeetingResponder, useValue: meetings.responder },
        { provide: Bearers, useValue: meetings.bearers },
        { provide: MaintenanceService, useValue: maintenance },
        { provide: VirtualIpRequirements, useValue: requirements },
        { provide: CertificateRenewal, useValue: certificates.renewal },
        { provide: CertificateTrust, useValue: certificates.trust },
        { provide: PeerRecognition, useValue: certificates.recognition },
        { provide: SharedVirtualIp, useValue: sharedVirtualIp },
      ],
    };
  }
}
