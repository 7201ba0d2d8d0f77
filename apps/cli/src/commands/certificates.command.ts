import type { GlobalOptions } from '../client/connect.ts';
import { say, sayJson } from '../rendering/output.ts';
import { withClient } from './with-client.ts';

interface Certificates {
  readonly certificates: readonly { host: string; name: string; fingerprint: string; validTo: string }[];
}

/** `cert list`: the pinned certificate of the peer. */
export async function listCertificates(options: GlobalOptions): Promise<void> {
  const answer = await withClient(options, (client) => client.get<Certificates>('/certificates'));
  if (options.json) return sayJson(answer);
  if (answer.certificates.length === 0) say('No certificate is pinned.');
  for (const { host, name, fingerprint, validTo } of answer.certificates) {
    say(`${host} ${name} valid until ${validTo} SHA-256 ${fingerprint}`);
  }
}
