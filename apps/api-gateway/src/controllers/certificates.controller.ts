import { X509Certificate } from 'node:crypto';
import { Controller } from '@nestjs/common';
import type { PeerIdentity } from '@understudy/contracts';
import type { z } from 'zod';
import { type CertificateSchema, ROUTES } from '../domain/routes.ts';
import { CertificatesService } from '../services/certificates.service.ts';
import { Serves } from './served-route.ts';

/** The certificate pinned at registration. */
@Controller()
export class CertificatesController {
  constructor(private readonly certificates: CertificatesService) {}

  @Serves(ROUTES.certificates)
  async list() {
    const peer = await this.certificates.peer();
    return { certificates: peer ? [view(peer)] : [] };
  }
}

function view(peer: PeerIdentity): z.infer<typeof CertificateSchema> {
  const certificate = new X509Certificate(peer.certificatePem);
  return {
    host: `${peer.address}_${peer.ports.healthMonitor}`,
    name: peer.name,
    address: peer.address,
    fingerprint: peer.fingerprint,
    subject: certificate.subject,
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
    certificatePem: peer.certificatePem,
  };
}
