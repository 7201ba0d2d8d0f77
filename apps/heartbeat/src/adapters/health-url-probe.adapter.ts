import { request } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { isTrusted, type PeerIdentity } from '@understudy/contracts';
import { fingerprintOn } from '@understudy/platform';
import type { ProbeOutcome, ProbePort } from '../ports/heartbeat.ports.ts';

const BODY_BYTES_MAX = 4096;
const NO_WORD = { decides: true, dissolved: false, replaced: false };

/**
 * Opens `https://<address>:<healthMonitor>/health` on a new connection. Any HTTP status is an answer; an answer under another
 * certificate than the pinned one is none. Asked as a member of the pair, so that a peer that has dissolved it can say so.
 */
export class HealthUrlProbe implements ProbePort {
  constructor(
    /**
     * A server whose manager cannot decide any more is closed before another may serve (a lease). Then its gateway's answer is no sign
     * that it serves. Without that it may well be serving still, and its answer counts.
     */
    private readonly closesWithoutManager: boolean,
  ) {}

  open(peer: PeerIdentity, timeoutMs: number): Promise<ProbeOutcome> {
    const url = `https://${peer.address}:${peer.ports.healthMonitor}/health`;
    return new Promise((resolve) => {
      let settled = false;
      const settle = (answered: boolean, detail: string, { dissolved, replaced } = NO_WORD) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        attempt.destroy();
        resolve({ answered, detail: `${url}: ${detail}`, dissolved, replaced });
      };
      const timer = setTimeout(() => settle(false, `no answer within ${timeoutMs} ms`), timeoutMs);
      const attempt = request({
        host: peer.address,
        port: peer.ports.healthMonitor,
        path: `/health?pair=${encodeURIComponent(peer.pairId)}`,
        method: 'GET',
        agent: false,
        headers: { connection: 'close' },
        // The certificate is self-signed; it is compared with the pinned one below. The handshake proves its key in any case.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      attempt.on('response', (response) => {
        const seen = fingerprintOn(response.socket as TLSSocket);
        // who has forgotten the peer cannot tell it from others: whoever answers there may be serving, and nothing that he says counts
        if (peer.isForgotten) return settle(true, 'answered, and the certificate of the peer is forgotten');
        if (!isTrusted(peer, seen))
          return settle(false, `answered under another certificate (${seen ?? 'none'}) than the pinned one`);
        const status = `answered with status ${response.statusCode}`;
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > BODY_BYTES_MAX) settle(true, status);
        });
        response.on('end', () => {
          const standing = standingIn(body);
          if (standing.decides) settle(true, status, standing);
          else settle(!this.closesWithoutManager, `${status}, and its health monitor does not decide`);
        });
        response.on('error', () => settle(true, status));
        response.on('close', () => settle(true, status));
      });
      attempt.on('error', (error: NodeJS.ErrnoException) => settle(false, error.code ?? error.message));
      attempt.end();
    });
  }
}

/** What the peer says of the pair. */
function standingIn(body: string): typeof NO_WORD {
  try {
    const { decides, dissolved, replaced } = JSON.parse(body) as Record<string, unknown>;
    return { decides: decides !== false, dissolved: dissolved === true, replaced: replaced === true };
  } catch {
    return NO_WORD;
  }
}
