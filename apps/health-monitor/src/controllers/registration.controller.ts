import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  AdoptAuthenticationKeyCommand,
  ChangeAuthenticationKey,
  RegistrationAbandonCommand,
  RegistrationHelloCommand,
  RegistrationProveCommand,
} from '@understudy/contracts';
import type { z } from 'zod';
import { orRefusal, RegistrationResponder } from '../registration/index.ts';
import { AuthenticationKeyChange } from '../services/authentication-key-change.ts';

/** The secondary's side of registration: three steps that its gateway passes on; and the changes of the key that was proven in it. */
@Controller()
export class RegistrationController {
  constructor(
    private readonly responder: RegistrationResponder,
    private readonly keyChange: AuthenticationKeyChange,
  ) {}

  @MessagePattern(RegistrationHelloCommand.subject)
  async hello(@Payload() hello: z.output<typeof RegistrationHelloCommand.data>) {
    return orRefusal(await this.responder.hello(hello));
  }

  @MessagePattern(RegistrationProveCommand.subject)
  async prove(@Payload() step: z.output<typeof RegistrationProveCommand.data>) {
    return orRefusal(await this.responder.prove(step));
  }

  @MessagePattern(RegistrationAbandonCommand.subject)
  async abandon(@Payload() step: z.output<typeof RegistrationAbandonCommand.data>) {
    return orRefusal(await this.responder.abandon(step));
  }

  @MessagePattern(ChangeAuthenticationKey.subject)
  async changeKey(@Payload() { newAuthenticationKey }: z.output<typeof ChangeAuthenticationKey.data>) {
    return { servers: await this.keyChange.change(newAuthenticationKey) };
  }

  @MessagePattern(AdoptAuthenticationKeyCommand.subject)
  async adoptKey(@Payload() offer: z.output<typeof AdoptAuthenticationKeyCommand.data>) {
    return orRefusal(await this.keyChange.adopt(offer));
  }
}

/** What this controller answers. */
export const REGISTRATION = [
  RegistrationHelloCommand,
  RegistrationProveCommand,
  RegistrationAbandonCommand,
  ChangeAuthenticationKey,
  AdoptAuthenticationKeyCommand,
];
