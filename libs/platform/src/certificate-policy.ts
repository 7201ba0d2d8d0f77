import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { NodePaths } from './node-paths.ts';
import { writeFileAtomically } from './write-file-atomically.ts';

/** How a certificate that was not seen before comes to be trusted. */
export const CERTIFICATE_MODES = ['trust-on-first-use', 'pinned'] as const;
export type CertificateMode = (typeof CERTIFICATE_MODES)[number];

const PolicySchema = z.object({
  mode: z.enum(CERTIFICATE_MODES),
  /** SHA-256 of certificates that an operator has given beforehand, lower-case hexadecimal. */
  given: z.array(z.string()),
});
export type CertificatePolicy = z.infer<typeof PolicySchema>;

/** What an operator has said of trust, `identity/certificate-policy.json`. Throws when the file is damaged. */
export async function readCertificatePolicy(paths: NodePaths): Promise<CertificatePolicy> {
  try {
    return PolicySchema.parse(JSON.parse(await readFile(paths.certificatePolicy, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { mode: 'trust-on-first-use', given: [] };
    throw error;
  }
}

/** Keeps it, durably. */
export async function writeCertificatePolicy(paths: NodePaths, policy: CertificatePolicy): Promise<void> {
  await writeFileAtomically(paths.certificatePolicy, `${JSON.stringify(policy)}\n`, { mode: 0o600 });
}
