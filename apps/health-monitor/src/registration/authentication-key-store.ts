import { timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type NodePaths, writeFileAtomically } from '@understudy/platform';
import { z } from 'zod';
import { weaknessOf } from './key-standard.ts';
import { type StretchedKey, stretchKey, stretchNewKey } from './stretched-key.ts';

const StoredSchema = z.object({
  version: z.literal(1),
  salt: z.string(),
  verifier: z.string(),
  /** Which state of authenticationKeyFile it was taken from; null: set by registration. */
  source: z.string().nullable(),
});

/** The authentication key file cannot be used; the message says which, why and how to mend it. */
export class AuthenticationKeyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AuthenticationKeyError';
  }
}

/**
 * Keeps the authentication key of this server as a salted verifier in `identity/authentication-key.json` (0600). A secondary takes
 * it from `node.authenticationKeyFile` and again whenever that file's content changes; a primary gets it by registration.
 */
export class AuthenticationKeyStore {
  private current: (StretchedKey & { readonly source: string | null }) | null = null;
  private reading: Promise<StretchedKey | null> | null = null;
  private loaded = false;

  /**
   * @param keyFile node.authenticationKeyFile, null when there is none
   * @param required the file must be there as long as no key is known: so on a secondary
   * @param name of this server: no key contains it
   */
  constructor(
    private readonly paths: NodePaths,
    private readonly keyFile: string | null,
    private readonly required: boolean,
    private readonly name: string,
  ) {}

  /** Where the verifier is kept. */
  get file(): string {
    return this.paths.authenticationKey;
  }

  /** The verifier in force; null when no key was ever set. Throws `AuthenticationKeyError` when the key file is of no use. */
  async read(): Promise<StretchedKey | null> {
    this.reading ??= this.readNow().finally(() => {
      this.reading = null;
    });
    return await this.reading;
  }

  /** Sets the verifier, durably: after registration the primary keeps the secondary's. */
  async store(key: StretchedKey): Promise<void> {
    await this.write(key, await this.sourceState().catch(() => null));
  }

  /** Whether that is the authentication key. `configured: false`: none has been set. Throws `KeyCheckBusyError` under a flood. */
  async verify(authenticationKey: string): Promise<{ configured: boolean; valid: boolean }> {
    const key = await this.read();
    if (!key) return { configured: false, valid: false };
    const stretched = await stretchKey(authenticationKey, key.salt);
    return { configured: true, valid: timingSafeEqual(stretched, key.verifier) };
  }

  private async readNow(): Promise<StretchedKey | null> {
    if (!this.loaded) {
      this.current = await this.readStored();
      this.loaded = true;
    }
    const source = await this.sourceState();
    if (this.keyFile === null || source === null || source === this.current?.source) return this.current;
    const key = await readKeyFile(this.keyFile);
    const known = this.current;
    const unchanged = known && timingSafeEqual(await stretchKey(key, known.salt), known.verifier);
    if (unchanged) {
      await this.write(known, source);
    } else {
      const weakness = weaknessOf(key, [this.name]);
      if (weakness !== null)
        throw new AuthenticationKeyError(`node.authenticationKeyFile: the key in ${this.keyFile} ${weakness}`);
      await this.write(await stretchNewKey(key), source);
    }
    return this.current;
  }

  private async readStored() {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const stored = StoredSchema.parse(JSON.parse(text));
    return {
      salt: Buffer.from(stored.salt, 'base64url'),
      verifier: Buffer.from(stored.verifier, 'base64url'),
      source: stored.source,
    };
  }

  private async write({ salt, verifier }: StretchedKey, source: string | null): Promise<void> {
    const stored: z.infer<typeof StoredSchema> = {
      version: 1,
      salt: Buffer.from(salt).toString('base64url'),
      verifier: Buffer.from(verifier).toString('base64url'),
      source,
    };
    await mkdir(dirname(this.file), { recursive: true, mode: 0o700 });
    await writeFileAtomically(this.file, `${JSON.stringify(stored)}\n`, { mode: 0o600 });
    this.current = { salt, verifier, source };
    this.loaded = true;
  }

  /** Tells one state of the key file from another; null: no such file. The content is not part of it: a quick hash of a key gives it away. */
  private async sourceState(): Promise<string | null> {
    if (this.keyFile === null) return null;
    try {
      const { mtimeNs, size, ino } = await stat(this.keyFile, { bigint: true });
      return `${mtimeNs}-${size}-${ino}`;
    } catch (error) {
      // A verifier taken earlier stays in force when the file is gone: that is how a careful operator keeps it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && (this.current || !this.required)) return null;
      throw new AuthenticationKeyError(
        `node.authenticationKeyFile: cannot read ${this.keyFile} (${(error as NodeJS.ErrnoException).code}); write the authentication key into that file`,
      );
    }
  }
}

async function readKeyFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new AuthenticationKeyError(
      `node.authenticationKeyFile: cannot read ${file} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}
