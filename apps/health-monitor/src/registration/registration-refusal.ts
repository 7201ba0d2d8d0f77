import { BusError } from '@understudy/messaging';

/** Why a registration does not come about. Some are the secondary's words, the others what the primary finds. */
export const REGISTRATION_REFUSALS = [
  'wrong-role',
  'wrong-version',
  'already-paired',
  'not-replaceable',
  'wrong-key',
  'too-many-attempts',
  'same-name',
  'expired',
  'virtual-ip',
  'no-key',
  'invalid-input',
  'untrusted-certificate',
  'unreachable',
  'timeout',
  'not-an-understudy',
  'not-ready',
  'wrong-certificate',
  'failed',
] as const;

/** Code of a refusal. */
export type RegistrationRefusalCode = (typeof REGISTRATION_REFUSALS)[number];

/** A refusal with its one sentence for people. */
export interface RegistrationRefusal {
  readonly code: RegistrationRefusalCode;
  readonly message: string;
}

/** What was asked for, or why not. */
export type Refusable<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: RegistrationRefusal };

/** A refusal as a result. */
export function refuse(code: RegistrationRefusalCode, message: string): { ok: false; refusal: RegistrationRefusal } {
  return { ok: false, refusal: { code, message } };
}

/** The key that was proven is another one than that server has. */
export function wrongKeyOf(name: string) {
  return refuse(
    'wrong-key',
    `the authentication key is not the one of ${name}: take the one in the file that its node.authenticationKeyFile names`,
  );
}

/** Wrong keys make the next attempt wait. */
export function tooMany(waitMs: number) {
  return refuse('too-many-attempts', `too many wrong authentication keys: try again in ${Math.ceil(waitMs / 1000)} s`);
}

/** A value as a result. */
export function accept<T>(value: T): { ok: true; value: T } {
  return { ok: true, value };
}

/** The code when it is one of ours. */
export function refusalCode(text: unknown): RegistrationRefusalCode | null {
  return REGISTRATION_REFUSALS.find((code) => code === text) ?? null;
}

/** The value, or the refusal as what the bus answers. */
export function orRefusal<T>(result: Refusable<T>): T {
  if (!result.ok) throw new BusError(result.refusal.code, result.refusal.message);
  return result.value;
}
