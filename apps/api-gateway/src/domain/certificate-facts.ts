import { X509Certificate } from 'node:crypto';
import { fingerprintOf } from '@understudy/platform';

/** What a certificate (PEM) says. `fingerprint`: SHA-256, lower-case hexadecimal. Throws when it is none. */
export function certificateFacts(certificatePem: string) {
  const certificate = new X509Certificate(certificatePem);
  return {
    fingerprint: fingerprintOf(certificatePem),
    subject: certificate.subject,
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
    certificatePem,
  };
}
