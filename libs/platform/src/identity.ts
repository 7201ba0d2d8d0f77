import { createHash, createPrivateKey, X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { readFile, unlink } from 'node:fs/promises';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { keepFirstCertificate, putInUse, readRenewal } from './identity-renewal.ts';
import type { NodePaths } from './node-paths.ts';
import { writeFileAtomically } from './write-file-atomically.ts';

/** This server's certificate and private key, and what the peer pins. */
export interface OwnIdentity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly fingerprint: string;
}

const LIFETIME_DAYS = 3652;
const DAY_MS = 24 * 3_600_000;
/** A renewal puts two files in place, one after the other: whoever reads between them reads again. */
const READ_ATTEMPTS = 10;
const READ_AGAIN_MS = 20;

/** The type the certificate library wants; Node's own differs in names only. */
type X509Crypto = Parameters<X509Module['X509CertificateGenerator']['createSelfSigned']>[1];
type X509Module = typeof import('@peculiar/x509');

/** SHA-256 of a certificate (PEM), lower-case hexadecimal. Throws when it is none. */
export function fingerprintOf(certificatePem: string): string {
  return createHash('sha256').update(new NodeCertificate(certificatePem).raw).digest('hex');
}

/** A fingerprint as TLS shows it (`AB:CD:...`), in the form in which it is pinned: lower-case hexadecimal. */
export function pinnedForm(fingerprint256: string): string {
  return fingerprint256.replaceAll(':', '').toLowerCase();
}

/** Fingerprint of the certificate that the other side of a connection shows; null when it shows none. */
export function fingerprintOn(socket: TLSSocket): string | null {
  const { fingerprint256 } = socket.getPeerCertificate();
  return fingerprint256 ? pinnedForm(fingerprint256) : null;
}

/** Reads this server's identity; null when it was not made yet. Throws when certificate and key do not belong together. */
export async function readOwnIdentity(
  paths: Pick<NodePaths, 'certificate' | 'privateKey'>,
): Promise<OwnIdentity | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      const certificatePem = await readFile(paths.certificate, 'utf8');
      const privateKeyPem = await readFile(paths.privateKey, 'utf8');
      if (new NodeCertificate(certificatePem).checkPrivateKey(createPrivateKey(privateKeyPem)))
        return { certificatePem, privateKeyPem, fingerprint: fingerprintOf(certificatePem) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    if (attempt === READ_ATTEMPTS)
      throw new Error(`${paths.certificate} and ${paths.privateKey} do not belong together: start this server anew`);
    await delay(READ_AGAIN_MS);
  }
}

/**
 * This server's identity, made on its first start: a self-signed P-256 certificate that the peer pins. The certificate is written
 * last: its presence means that both files are whole. A renewal that was broken off while it took its place is completed.
 */
export async function ensureOwnIdentity(
  paths: NodePaths,
  server: { name: string; address: string },
): Promise<OwnIdentity> {
  const renewal = await readRenewal(paths);
  if (renewal?.isInUse) await putInUse(paths, renewal);
  const existing = await readOwnIdentity(paths);
  if (existing) return existing;
  const made = await makeIdentity(server);
  await unlink(paths.privateKey).catch(() => undefined);
  await writeFileAtomically(paths.privateKey, made.privateKeyPem, { mode: 0o600 });
  await keepFirstCertificate(paths, made.certificatePem);
  await writeFileAtomically(paths.certificate, made.certificatePem);
  return made;
}

/**
 * A new key and a self-signed certificate for it, valid from a day ago. No two have the same subject, so that nobody who trusts an old
 * and a new one of the same server takes one for the other's issuer.
 */
export async function makeIdentity(
  server: { name: string; address: string },
  lifetimeDays = LIFETIME_DAYS,
): Promise<OwnIdentity> {
  // Loaded only when needed: it is large and the other services never make certificates.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const notBefore = new Date(Date.now() - DAY_MS); // a peer whose clock is behind accepts it too
  const notAfter = new Date(Date.now() + lifetimeDays * DAY_MS);
  const serialNumber = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
    .toString('hex')
    .replace(/^[089a-f]/, '1');
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber,
      name: `CN=understudy-${server.name}, OU=${serialNumber}`,
      notBefore,
      notAfter,
      signingAlgorithm: algorithm,
      keys: keys as webcrypto.CryptoKeyPair,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension(alternativeNames(server.address)),
        await x509.SubjectKeyIdentifierExtension.create((keys as webcrypto.CryptoKeyPair).publicKey),
      ],
    },
    webcrypto as unknown as X509Crypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', (keys as webcrypto.CryptoKeyPair).privateKey));
  const certificatePem = `${certificate.toString('pem')}\n`;
  return { certificatePem, privateKeyPem: toPem(key), fingerprint: fingerprintOf(certificatePem) };
}

function alternativeNames(address: string): { type: 'ip' | 'dns'; value: string }[] {
  const own = { type: isIP(address) ? ('ip' as const) : ('dns' as const), value: address };
  const local = [
    { type: 'dns' as const, value: 'localhost' },
    { type: 'ip' as const, value: '127.0.0.1' },
  ];
  return [own, ...local.filter(({ value }) => value !== address)];
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}
