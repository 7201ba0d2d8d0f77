import { Controller, Req } from '@nestjs/common';
import {
  AdoptAuthenticationKeyCommand,
  RecogniseCommand,
  type RecognitionQuestion,
  RegistrationAbandonCommand,
  type RegistrationHello,
  RegistrationHelloCommand,
  RegistrationProveCommand,
} from '@understudy/contracts';
import type { Request } from 'express';
import type { z } from 'zod';
import { ROUTES } from '../domain/routes.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { RegistrationGateService } from '../services/registration-gate.service.ts';
import { Checked } from './input.pipe.ts';
import { sourceOf } from './request-facts.ts';
import { Serves } from './served-route.ts';

/** What one server sends to the other over HTTPS, and only the authentication key proves: passed on, limited in number. */
@Controller()
export class PairController {
  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly gate: RegistrationGateService,
  ) {}

  @Serves(ROUTES.hello)
  hello(@Checked(ROUTES.hello) body: RegistrationHello, @Req() request: Request) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(RegistrationHelloCommand, body);
  }

  @Serves(ROUTES.prove)
  prove(@Checked(ROUTES.prove) body: z.output<typeof RegistrationProveCommand.data>, @Req() request: Request) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(RegistrationProveCommand, body);
  }

  @Serves(ROUTES.adoptAuthenticationKey)
  adoptKey(
    @Checked(ROUTES.adoptAuthenticationKey) body: z.output<typeof AdoptAuthenticationKeyCommand.data>,
    @Req() request: Request,
  ) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(AdoptAuthenticationKeyCommand, body);
  }

  @Serves(ROUTES.recognise)
  recognise(@Checked(ROUTES.recognise) body: RecognitionQuestion, @Req() request: Request) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(RecogniseCommand, body);
  }

  @Serves(ROUTES.abandon)
  abandon(@Checked(ROUTES.abandon) body: z.output<typeof RegistrationAbandonCommand.data>, @Req() request: Request) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(RegistrationAbandonCommand, body);
  }
}
