import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LIMITS } from '../config.ts';
import { Clock } from '../ports/clock.port.ts';
import { LocalFiles } from '../ports/local-files.port.ts';
import { SessionStore } from '../ports/session-store.port.ts';

/** Who asks: the scope decides what they may do. */
export interface Caller {
  readonly scope: string;
}

/** Makes, finds and ends sessions. */
@Injectable()
export class SessionService {
  constructor(
    private readonly store: SessionStore,
    private readonly files: LocalFiles,
    private readonly clock: Clock,
  ) {}

  /** Starts a session under that key; the token is given out once and kept nowhere. */
  async begin(scope: string, keyId: string | null): Promise<{ token: string; expiresAt: string; scope: string }> {
    const token = randomBytes(32).toString('base64url');
    const expiresAtMs = this.clock.unixMs() + LIMITS.sessionMs;
    await this.store.save(digest(token), { scope, keyId, expiresAtMs });
    return { token, expiresAt: new Date(expiresAtMs).toISOString(), scope };
  }

  /** Who a token belongs to, null when to nobody. `isLocal`: asked from this very server, where the command line's token counts. */
  async identify(token: string, isLocal: boolean): Promise<Caller | null> {
    if (token.length < 16 || token.length > 500) return null;
    if (isLocal) {
      const cliToken = await this.files.cliToken();
      if (cliToken !== null && isSame(cliToken, token)) return { scope: 'administrator' };
    }
    const session = await this.store.find(digest(token));
    // a new key ends the sessions of the old one, whoever was away when it came
    return session && session.keyId === (await this.files.authenticationKeyId()) ? { scope: session.scope } : null;
  }

  async end(token: string): Promise<void> {
    await this.store.remove(digest(token));
  }
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Takes the same time wherever they differ. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
