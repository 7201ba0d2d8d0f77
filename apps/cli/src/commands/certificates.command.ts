import { setTimeout as sleep } from 'node:timers/promises';
import { CliError, EXIT } from '../cli-error.ts';
import type { GlobalOptions } from '../client/connect.ts';
import { say, sayJson } from '../rendering/output.ts';
import { withClient } from './with-client.ts';

const RENEWAL_LIMIT_MS = 60_000;
const LOOK_MS = 1000;

interface Facts {
  readonly fingerprint: string;
  readonly validTo: string;
}

interface Certificates {
  readonly mode: string;
  readonly given: readonly string[];
  readonly certificates: readonly (Facts & { host: string; name: string; next?: Facts; isForgotten?: true })[];
  readonly own: Facts | null;
  readonly renewal: 'offered' | 'in-use' | null;
}

interface Renewal {
  readonly step: 'offered' | 'in-use' | null;
  readonly reason: string | null;
}

/** `cert list`: the pinned certificate of the peer, and this server's own. */
export async function listCertificates(options: GlobalOptions): Promise<void> {
  const answer = await withClient(options, (client) => client.get<Certificates>('/certificates'));
  if (options.json) return sayJson(answer);
  if (answer.certificates.length === 0) say('No certificate is pinned.');
  for (const { host, name, next, isForgotten, ...facts } of answer.certificates) {
    say(`${host} ${name} ${text(facts)}${isForgotten ? ' (forgotten: not trusted)' : ''}`);
    if (next !== undefined) say(`${host} ${name} ${text(next)} (renews it)`);
  }
  const under = answer.renewal === null ? '' : ` (is being renewed: ${answer.renewal})`;
  if (answer.own !== null) say(`this server ${text(answer.own)}${under}`);
  say(`mode ${answer.mode}`);
  for (const fingerprint of answer.given) say(`given beforehand: SHA-256 ${fingerprint}`);
}

function text({ validTo, fingerprint }: Facts): string {
  return `valid until ${validTo} SHA-256 ${fingerprint}`;
}

/** `cert renew`: this server's own. Waits until the old one is trusted no more, for a minute; a renewal goes on without it. */
export async function renewCertificate(options: GlobalOptions & { readonly wait: boolean }): Promise<void> {
  let renewal = await withClient(options, (client) => client.ask<Renewal>('POST', '/certificates/renewal', {}));
  for (const untilMs = Date.now() + RENEWAL_LIMIT_MS; options.wait && renewal.step !== null; ) {
    if (Date.now() > untilMs) break;
    await sleep(LOOK_MS);
    // a new connection each time, under the certificate of the moment
    const { renewal: step } = await withClient(options, (client) => client.get<Certificates>('/certificates'));
    renewal = { step, reason: renewal.reason };
  }
  if (options.json) sayJson(renewal);
  else if (renewal.step === null) say('The certificate of this server is renewed.');
  if (renewal.step === null) return;
  const so = renewal.step === 'offered' ? 'The old certificate is in use still' : 'The new certificate is in use';
  const reason = renewal.reason ?? 'the other server has not answered';
  const sentence = `The renewal waits: ${reason}. ${so}; it goes on by itself: see "understudy cert list".`;
  if (options.wait) throw new CliError(EXIT.refused, sentence);
  if (!options.json) say(sentence);
}

/** `cert forget HOST`: says what happens next. */
export async function forgetCertificate(options: GlobalOptions, host: string): Promise<void> {
  const answer = await withClient(options, (client) =>
    client.ask<{ host: string; fingerprint: string; next: string }>(
      'DELETE',
      `/certificates/${encodeURIComponent(host)}`,
    ),
  );
  if (options.json) sayJson(answer);
  else say(`The certificate of ${answer.host} is forgotten. ${answer.next}`);
}

/** `cert mode MODE`. */
export async function setCertificateMode(options: GlobalOptions, mode: string): Promise<void> {
  const answer = await withClient(options, (client) =>
    client.ask<{ mode: string }>('PUT', '/certificates/mode', { mode }),
  );
  if (options.json) sayJson(answer);
  else say(`The mode of certificates is ${answer.mode}.`);
}

/** `cert pin FINGERPRINT`. */
export async function pinCertificate(options: GlobalOptions, fingerprint: string): Promise<void> {
  const answer = await withClient(options, (client) =>
    client.ask<{ fingerprint: string }>('POST', '/certificates/pins', { fingerprint }),
  );
  if (options.json) sayJson(answer);
  else
    say(
      `The certificate ${answer.fingerprint} may become that of the other server, when it proves the authentication key.`,
    );
}

/** `cert unpin FINGERPRINT`. */
export async function unpinCertificate(options: GlobalOptions, given: string): Promise<void> {
  const answer = await withClient(options, (client) =>
    client.ask<{ fingerprint: string }>('DELETE', `/certificates/pins/${encodeURIComponent(given)}`),
  );
  if (options.json) sayJson(answer);
  else say(`The certificate ${answer.fingerprint} is no longer given beforehand.`);
}
