import { Controller, Param } from '@nestjs/common';
import type { PeerIdentity } from '@understudy/contracts';
import type { z } from 'zod';
import { certificateFacts } from '../domain/certificate-facts.ts';
import * as inputs from '../domain/inputs.ts';
import { type CertificateSchema, ROUTES } from '../domain/routes.ts';
import { CertificatesService } from '../services/certificates.service.ts';
import { Checked } from './input.pipe.ts';
import { Serves } from './served-route.ts';

/** This server's certificate, and that of its peer, pinned at registration. */
@Controller()
export class CertificatesController {
  constructor(private readonly certificates: CertificatesService) {}

  @Serves(ROUTES.certificates)
  async list() {
    const [peer, own, renewal, { mode, given }] = await Promise.all([
      this.certificates.peer(),
      this.certificates.own(),
      this.certificates.renewal(),
      this.certificates.policy(),
    ]);
    return { mode, given, certificates: peer ? [view(peer)] : [], own: own && certificateFacts(own), renewal };
  }

  @Serves(ROUTES.forgetPeerCertificate)
  forgetPeer() {
    return this.certificates.forget(null);
  }

  @Serves(ROUTES.forgetCertificate)
  forget(@Param('host') host: string) {
    return this.certificates.forget(host);
  }

  @Serves(ROUTES.setCertificateMode)
  setMode(@Checked(ROUTES.setCertificateMode) { mode }: z.output<typeof inputs.CertificateModeInput>) {
    return this.certificates.setMode(mode);
  }

  @Serves(ROUTES.pinCertificate)
  pin(@Checked(ROUTES.pinCertificate) { fingerprint }: z.output<typeof inputs.PinCertificateInput>) {
    return this.certificates.pin(fingerprint);
  }

  @Serves(ROUTES.unpinCertificate)
  unpin(@Param('fingerprint') fingerprint: string) {
    return this.certificates.unpin(inputs.fingerprintOf(fingerprint));
  }

  @Serves(ROUTES.renewCertificate)
  renew(@Checked(ROUTES.renewCertificate) _: unknown) {
    return this.certificates.renew();
  }
}

function view(peer: PeerIdentity): z.infer<typeof CertificateSchema> {
  return {
    host: `${peer.address}_${peer.ports.healthMonitor}`,
    name: peer.name,
    address: peer.address,
    ...certificateFacts(peer.certificatePem),
    ...(peer.isForgotten ? { isForgotten: true as const } : {}),
    ...(peer.next === undefined ? {} : { next: certificateFacts(peer.next.certificatePem) }),
  };
}
