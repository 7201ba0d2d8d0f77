import { readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { NodePaths } from './node-paths.ts';
import { syncDirectory, writeFileAtomically, writeFilesTogether } from './write-file-atomically.ts';

const RenewalSchema = z.object({
  certificatePem: z.string(),
  privateKeyPem: z.string(),
  formerCertificatePem: z.string(),
  isInUse: z.boolean(),
});

/**
 * A renewal of this server's certificate that is under way, `identity/renewal.json`: what comes, what goes, and whether the new one is in
 * use already. It is written before each step, so that a server that was killed in the middle of one repeats it.
 */
export type IdentityRenewal = z.infer<typeof RenewalSchema>;

/** The renewal that is under way, null when there is none. Throws when the file is damaged: that is not "none". */
export async function readRenewal(paths: NodePaths): Promise<IdentityRenewal | null> {
  const text = await textOf(paths.renewal);
  if (text === null) return null;
  try {
    return RenewalSchema.parse(JSON.parse(text));
  } catch {
    throw new Error(`${paths.renewal} is damaged`);
  }
}

/** Notes a step, durably. */
export async function writeRenewal(paths: NodePaths, renewal: IdentityRenewal): Promise<void> {
  await writeFileAtomically(paths.renewal, `${JSON.stringify(renewal)}\n`, { mode: 0o600 });
}

/** The renewal is over. */
export async function removeRenewal(paths: NodePaths): Promise<void> {
  await unlink(paths.renewal).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await syncDirectory(dirname(paths.renewal));
}

/**
 * Puts the new key and certificate in their place; safe to repeat. Between the two files nothing else can be read of them than that
 * they do not belong together. What tells this server from others, its first certificate, is kept.
 */
export async function putInUse(paths: NodePaths, renewal: IdentityRenewal): Promise<void> {
  await keepFirstCertificate(paths, renewal.formerCertificatePem);
  await writeFilesTogether([
    { file: paths.privateKey, content: renewal.privateKeyPem, mode: 0o600 },
    { file: paths.certificate, content: renewal.certificatePem },
  ]);
}

/** Keeps what tells this server from others, unless it is kept already: a certificate that is lost or renewed makes no other server of it. */
export async function keepFirstCertificate(paths: NodePaths, certificatePem: string): Promise<void> {
  if ((await textOf(paths.firstCertificate)) === null)
    await writeFileAtomically(paths.firstCertificate, certificatePem);
}

/** What tells this server from any other over all renewals: the text of its first certificate. Throws when it has none. */
export async function serverMark(paths: NodePaths): Promise<string> {
  return (await textOf(paths.firstCertificate)) ?? (await readFile(paths.certificate, 'utf8'));
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
