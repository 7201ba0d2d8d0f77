import { type DynamicModule, Module } from '@nestjs/common';
import { ORDERS, OrdersController } from './controllers/orders.controller.ts';
import { QUERIES, QueriesController } from './controllers/queries.controller.ts';
import { REGISTRATION, RegistrationController } from './controllers/registration.controller.ts';
import { AuthenticationKeyStore, RegistrationResponder } from './registration/index.ts';
import { AuthenticationKeyChange } from './services/authentication-key-change.ts';
import { HealthMonitorService } from './services/health-monitor.service.ts';
import { MaintenanceService } from './services/maintenance.ts';
import { Pairing } from './services/pairing.ts';
import { VirtualIpRequirements } from './virtual-ip/index.ts';

/** Everything that the controllers answer from. */
export interface HealthMonitorParts {
  readonly monitor: HealthMonitorService;
  readonly pairing: Pairing;
  readonly keys: AuthenticationKeyStore;
  readonly keyChange: AuthenticationKeyChange;
  readonly responder: RegistrationResponder;
  readonly maintenance: MaintenanceService;
  readonly requirements: VirtualIpRequirements;
}

/** The messages that health-monitor answers. */
export const ANSWERED = [...ORDERS, ...QUERIES, ...REGISTRATION];

/** The health-monitor service. */
@Module({})
export class AppModule {
  static of({
    monitor,
    pairing,
    keys,
    keyChange,
    responder,
    maintenance,
    requirements,
  }: HealthMonitorParts): DynamicModule {
    return {
      module: AppModule,
      controllers: [OrdersController, QueriesController, RegistrationController],
      providers: [
        { provide: HealthMonitorService, useValue: monitor },
        { provide: Pairing, useValue: pairing },
        { provide: AuthenticationKeyStore, useValue: keys },
        { provide: AuthenticationKeyChange, useValue: keyChange },
        { provide: RegistrationResponder, useValue: responder },
        { provide: MaintenanceService, useValue: maintenance },
        { provide: VirtualIpRequirements, useValue: requirements },
      ],
    };
  }
}
