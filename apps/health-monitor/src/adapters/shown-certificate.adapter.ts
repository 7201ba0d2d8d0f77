import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import type { ShownCertificate } from '../ports/shown-certificate.port.ts';

const LIMIT_MS = 3000;

/** The certificate (PEM) that is shown at a TLS port, whoever answers there; null when nobody does within 3 s. Never rejects. */
export const shownCertificate: ShownCertificate = ({ address, port }) =>
  new Promise((resolve) => {
    const socket = connect({
      host: address,
      port,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    const settle = (certificatePem: string | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(certificatePem);
    };
    const timer = setTimeout(() => settle(null), LIMIT_MS);
    socket.on('error', () => settle(null));
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate();
      settle(raw === undefined ? null : new X509Certificate(raw).toString());
    });
  });
