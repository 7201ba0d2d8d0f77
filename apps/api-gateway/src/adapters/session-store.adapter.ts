import { Injectable } from '@nestjs/common';
import type { NodeStore } from '@understudy/platform';
import { z } from 'zod';
import { LIMITS } from '../config.ts';
import { type Session, SessionStore } from '../ports/session-store.port.ts';

const PREFIX = 'understudy:api-gateway:session:';
const SessionSchema = z.object({
  scope: z.string(),
  keyId: z.string().nullable().default(null),
  expiresAtMs: z.number(),
});

/**
 * Sessions in the node store, so that they outlive this process, and in memory, so that they outlive the store. `store` gives the
 * node store, or null while there is none.
 */
@Injectable()
export class SessionStoreAdapter extends SessionStore {
  private readonly memory = new Map<string, Session>();
  /** Ended while the store was away: they must not come back with it. */
  private readonly ended = new Map<string, Session>();

  constructor(
    private readonly store: () => NodeStore | null,
    private readonly unixMs: () => number,
  ) {
    super();
  }

  async save(key: string, session: Session): Promise<void> {
    this.remember(this.memory, key, session);
    await this.inStore((client) =>
      client.set(PREFIX + key, JSON.stringify(session), 'PX', Math.max(1, session.expiresAtMs - this.unixMs())),
    );
  }

  async find(key: string): Promise<Session | null> {
    if (this.ended.has(key)) return null;
    let session = this.memory.get(key) ?? null;
    if (!session) {
      const text = await this.inStore((client) => client.get(PREFIX + key));
      session = text ? parse(text) : null;
      if (session) this.remember(this.memory, key, session);
    }
    return session && session.expiresAtMs > this.unixMs() ? session : null;
  }

  async remove(key: string): Promise<void> {
    const session = this.memory.get(key);
    this.memory.delete(key);
    const removed = await this.inStore((client) => client.del(PREFIX + key));
    if (removed === undefined && session) this.remember(this.ended, key, session);
  }

  /** Undefined when the store is away. What could not be removed before is removed first. */
  private async inStore<T>(use: (client: NodeStore['client']) => Promise<T>): Promise<T | undefined> {
    const store = this.store();
    if (!store?.ready) return undefined;
    try {
      if (this.ended.size > 0) {
        await store.client.del(...[...this.ended.keys()].map((key) => PREFIX + key));
        this.ended.clear();
      }
      return await use(store.client);
    } catch {
      return undefined;
    }
  }

  private remember(map: Map<string, Session>, key: string, session: Session): void {
    map.delete(key);
    map.set(key, session);
    if (map.size <= LIMITS.sessionsMax) return;
    const expired = [...map].find(([, { expiresAtMs }]) => expiresAtMs <= this.unixMs());
    map.delete(expired?.[0] ?? (map.keys().next().value as string));
  }
}

function parse(text: string): Session | null {
  try {
    return SessionSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
