import type { IncomingMessage } from 'node:http';

/** The cookie that carries a session; the prefix makes browsers insist on HTTPS and on this very host. */
export const SESSION_COOKIE = '__Host-understudy-session';

/** Where a request comes from, for delays and limits. */
export function sourceOf(request: IncomingMessage): string {
  return plainAddress(request.socket.remoteAddress);
}

/** Whether a request comes from this very server: over loopback, or from the address it arrived at. */
export function isFromThisServer(request: IncomingMessage): boolean {
  const from = plainAddress(request.socket.remoteAddress);
  return from === '::1' || from.startsWith('127.') || from === plainAddress(request.socket.localAddress);
}

/** The token a request carries, and whether the browser added it by itself. */
export function tokenOf(request: IncomingMessage): { token: string; isCookie: boolean } | null {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer) return { token: bearer, isCookie: false };
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [name, ...value] = part.trim().split('=');
    if (name === SESSION_COOKIE && value.length > 0) return { token: value.join('='), isCookie: true };
  }
  return null;
}

/** Whether a page of another origin sent this request. Scripts and programs send no origin. */
export function isFromAnotherOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers;
  if (request.headers['sec-fetch-site'] === 'cross-site') return true;
  if (origin === undefined) return false;
  try {
    return new URL(origin).host !== host;
  } catch {
    return true;
  }
}

/** The cookie for a new session; without a token, the one that takes it away. */
export function sessionCookie(token: string, maxAgeSeconds: number): string {
  return `${SESSION_COOKIE}=${token}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; Secure; SameSite=Strict`;
}

function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}
