import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { BearerQuery, MeetCandidate, ReadinessHelloCommand, ReadinessProveCommand } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import type { z } from 'zod';
import { Bearers, MeetingClient, MeetingResponder, orRefusal } from '../registration/index.ts';
import { Pairing, targetOf } from '../services/pairing.ts';

/** Two servers that are no pair yet get to know each other, so that their readiness can be checked. */
@Controller()
export class MeetingController {
  constructor(
    private readonly client: MeetingClient,
    private readonly responder: MeetingResponder,
    private readonly bearers: Bearers,
    private readonly pairing: Pairing,
  ) {}

  @MessagePattern(MeetCandidate.subject)
  async meet(@Payload() { secondaryAddress, authenticationKey }: z.output<typeof MeetCandidate.data>) {
    const { ownFacts: self, peer } = this.pairing;
    if (peer !== null) {
      const reason = `${self.name} is paired with ${peer.name} already: run the checks without an address`;
      throw new BusError('already-configured', reason);
    }
    if (self.role !== 'primary') {
      const reason = `${self.name} is a secondary: run the checks before registration on the primary`;
      throw new BusError('wrong-server', reason);
    }
    const target = targetOf(secondaryAddress, self.ports.healthMonitor);
    return orRefusal(await this.client.meet({ ...target, authenticationKey, self }));
  }

  @MessagePattern(ReadinessHelloCommand.subject)
  async hello(@Payload() hello: z.output<typeof ReadinessHelloCommand.data>) {
    return orRefusal(await this.responder.hello(hello));
  }

  @MessagePattern(ReadinessProveCommand.subject)
  async prove(@Payload() step: z.output<typeof ReadinessProveCommand.data>) {
    return orRefusal(await this.responder.prove(step));
  }

  @MessagePattern(BearerQuery.subject)
  bearer(@Payload() { ticket }: z.output<typeof BearerQuery.data>) {
    const candidate = this.bearers.of(ticket);
    if (candidate === null) throw new BusError('expired', 'that ticket is unknown or older than a minute: check again');
    return candidate;
  }
}

/** What this controller answers. */
export const MEETINGS = [MeetCandidate, ReadinessHelloCommand, ReadinessProveCommand, BearerQuery];
