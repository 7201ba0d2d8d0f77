import { request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { PeerIdentity } from '@understudy/contracts';
import type { ProbePort } from '../ports/heartbeat.ports.ts';

/**
 * Opens `https://<address>:<healthMonitor>/health` on a new connection. Any HTTP status is an answer; an answer under another
 * certificate than the pinned one is none.
 */
export class HealthUrlProbe implements ProbePort {
  open(peer: PeerIdentity, timeoutMs: number): Promise<{ answered: boolean; detail: string }> {
    const url = `https://${peer.address}:${peer.ports.healthMonitor}/health`;
    return new Promise((resolve) => {
      let settled = false;
      const settle = (answered: boolean, detail: string) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        attempt.destroy();
        resolve({ answered, detail: `${url}: ${detail}` });
      };
      const timer = setTimeout(() => settle(false, `no answer within ${timeoutMs} ms`), timeoutMs);
      const attempt = request({
        host: peer.address,
        port: peer.ports.healthMonitor,
        path: '/health',
        method: 'GET',
        agent: false,
        headers: { connection: 'close' },
        // The certificate is self-signed; it is compared with the pinned one below. The handshake proves its key in any case.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      attempt.on('response', (response) => {
        response.resume();
        const seen = fingerprintOfPeer(response.socket as TLSSocket);
        if (seen === peer.fingerprint) settle(true, `answered with status ${response.statusCode}`);
        else settle(false, `answered under another certificate (${seen ?? 'none'}) than the pinned one`);
      });
      attempt.on('error', (error: NodeJS.ErrnoException) => settle(false, error.code ?? error.message));
      attempt.end();
    });
  }
}

/** SHA-256 of the certificate on the socket, lower-case hexadecimal; null when there is none. */
function fingerprintOfPeer(socket: TLSSocket): string | null {
  const { fingerprint256 } = socket.getPeerCertificate();
  return fingerprint256 ? fingerprint256.replaceAll(':', '').toLowerCase() : null;
}
