import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  ForgetCertificate,
  PinCertificate,
  RecogniseCommand,
  type RecognitionQuestion,
  RenewCertificate,
  SetCertificateMode,
  UnpinCertificate,
} from '@understudy/contracts';
import type { z } from 'zod';
import { orRefusal } from '../registration/index.ts';
import { CertificateRenewal } from '../services/certificate-renewal.ts';
import { CertificateTrust } from '../services/certificate-trust.ts';
import { PeerRecognition } from '../services/peer-recognition.ts';

/** What operators order of the certificates, and the question of a peer that has forgotten this server's. */
@Controller()
export class CertificatesController {
  constructor(
    private readonly renewal: CertificateRenewal,
    private readonly trust: CertificateTrust,
    private readonly recognition: PeerRecognition,
  ) {}

  @MessagePattern(RenewCertificate.subject)
  renew() {
    return this.renewal.renew();
  }

  @MessagePattern(ForgetCertificate.subject)
  async forget(@Payload() { host }: z.output<typeof ForgetCertificate.data>) {
    const forgotten = await this.trust.forget(host);
    void this.recognition.look();
    return forgotten;
  }

  @MessagePattern(SetCertificateMode.subject)
  async setMode(@Payload() { mode }: z.output<typeof SetCertificateMode.data>) {
    return { mode: await this.trust.setMode(mode) };
  }

  @MessagePattern(PinCertificate.subject)
  async pin(@Payload() { fingerprint }: z.output<typeof PinCertificate.data>) {
    await this.trust.give(fingerprint);
    return { fingerprint };
  }

  @MessagePattern(UnpinCertificate.subject)
  async unpin(@Payload() { fingerprint }: z.output<typeof UnpinCertificate.data>) {
    await this.trust.takeBack(fingerprint);
    return { fingerprint };
  }

  @MessagePattern(RecogniseCommand.subject)
  async recognise(@Payload() question: RecognitionQuestion) {
    return orRefusal(await this.recognition.asked(question));
  }
}

/** What this controller answers. */
export const CERTIFICATES = [
  RenewCertificate,
  ForgetCertificate,
  SetCertificateMode,
  PinCertificate,
  UnpinCertificate,
  RecogniseCommand,
];
