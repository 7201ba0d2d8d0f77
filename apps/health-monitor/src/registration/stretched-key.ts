import { randomBytes, scrypt } from 'node:crypto';

/** A stretched authentication key: what is stored and what proves. Never the key itself. */
export interface StretchedKey {
  readonly salt: Buffer;
  readonly verifier: Buffer;
}

/** Cost of one stretching: 32 MiB and some 60 ms. Part of the protocol: both sides must use the same. */
const COST = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;
const SALT_BYTES = 16;
const VERIFIER_BYTES = 32;
const AT_ONCE_MAX = 2;
const WAITING_MAX = 32;

/** Too many keys are being checked at once; the caller may try again. */
export class KeyCheckBusyError extends Error {
  constructor() {
    super('too many authentication keys are being checked at the moment');
    this.name = 'KeyCheckBusyError';
  }
}

let running = 0;
const waiting: (() => void)[] = [];

/** A fresh salt. */
export function newSalt(): Buffer {
  return randomBytes(SALT_BYTES);
}

/** A new key, with a salt of its own. */
export async function stretchNewKey(key: string): Promise<StretchedKey> {
  const salt = newSalt();
  return { salt, verifier: await stretchKey(key, salt) };
}

/**
 * Stretches a key (scrypt). At most two at once in this process, so that a flood of logins can neither take the memory nor all
 * threads; `KeyCheckBusyError` when 32 wait already.
 */
export async function stretchKey(key: string, salt: Uint8Array): Promise<Buffer> {
  if (running >= AT_ONCE_MAX) {
    if (waiting.length >= WAITING_MAX) throw new KeyCheckBusyError();
    await new Promise<void>((resolve) => waiting.push(resolve)); // the slot is handed over, `running` stays
  } else {
    running += 1;
  }
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      scrypt(key.normalize('NFC'), salt, VERIFIER_BYTES, COST, (error, derived) =>
        error ? reject(error) : resolve(derived),
      );
    });
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}
