import { randomBytes } from 'node:crypto';
import { type RegistrationChallenge, RegistrationChallengeSchema } from '@understudy/contracts';
import type { OpenHandshakes } from './open-handshakes.ts';
import type { Transcript } from './registration-proof.ts';
import { accept, type Refusable, refuse } from './registration-refusal.ts';
import type { OwnRegistrationFacts, RegistrationResponderPort } from './registration-responder.ts';
import type { StretchedKey } from './stretched-key.ts';

/** What is remembered of a hello until its proof comes. */
export interface OpenHandshake<Hello> {
  readonly transcript: Transcript<Hello>;
  readonly key: StretchedKey;
}

/** Answers a hello that nothing speaks against with a challenge, and remembers it; refused where this server has no key. */
export async function challengeOf<Hello>(
  port: Pick<RegistrationResponderPort, 'key'>,
  open: OpenHandshakes<OpenHandshake<Hello>>,
  { self, ...said }: Omit<Transcript<Hello>, 'challenge'> & { readonly self: OwnRegistrationFacts },
): Promise<Refusable<RegistrationChallenge>> {
  let key: StretchedKey | null;
  try {
    key = await port.key();
  } catch (error) {
    return refuse('no-key', error instanceof Error ? error.message : String(error));
  }
  if (!key) return refuse('no-key', `${self.name} has no authentication key: set node.authenticationKeyFile there`);

  // Parsed, so that the transcript holds exactly what the other side gets to see.
  const challenge = RegistrationChallengeSchema.parse({
    ...self,
    protocol: 1,
    nonce: randomBytes(24).toString('base64url'),
    salt: key.salt.toString('base64url'),
  });
  open.remember(challenge.nonce, { transcript: { ...said, challenge }, key });
  return accept(challenge);
}
