/** Who is signed in, and until when (Unix milliseconds). It ends sooner when the authentication key is another one. */
export interface Session {
  readonly scope: string;
  /** Of the key in force when it began. */
  readonly keyId: string | null;
  readonly expiresAtMs: number;
}

/** Where sessions are kept. Keys are digests of the tokens, never the tokens. Nothing here rejects: without a store, memory serves. */
export abstract class SessionStore {
  abstract save(key: string, session: Session): Promise<void>;
  /** The session, null when there is none or it has expired. */
  abstract find(key: string): Promise<Session | null>;
  abstract remove(key: string): Promise<void>;
}
