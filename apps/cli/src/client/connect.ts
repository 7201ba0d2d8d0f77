import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { CliError, EXIT } from '../cli-error.ts';
import { type Endpoint, RestClient } from './rest-client.ts';
import { serverPlace } from './server-place.ts';

/** Options every command knows. */
export interface GlobalOptions {
  readonly config?: string;
  readonly url?: string;
  readonly json?: boolean;
  readonly insecure?: boolean;
  readonly ca?: string;
  readonly loginKeyFile?: string;
}

/** The configuration file: --config, then UNDERSTUDY_CONFIG_FILE, then /etc/understudy/node.yaml. */
export function configurationFile({ config }: GlobalOptions): string {
  return config ?? process.env.UNDERSTUDY_CONFIG_FILE ?? '/etc/understudy/node.yaml';
}

/** The same for what works on this machine only: with --url somebody means another server. */
export function ownConfigurationFile(options: GlobalOptions): string {
  if (options.url !== undefined)
    throw new CliError(EXIT.usage, 'this works on the server itself only, not with --url: run it there');
  return configurationFile(options);
}

/** Opens the way to the server that is meant: the one of the configuration file, or --url. */
export async function connect(options: GlobalOptions): Promise<RestClient> {
  return options.url === undefined ? toOwnServer(options) : toUrl(options.url, options);
}

async function toOwnServer(options: GlobalOptions): Promise<RestClient> {
  const place = await serverPlace(configurationFile(options));
  const host = isIP(place.address) === 6 ? `[${place.address}]` : place.address;
  const title = `${place.name} (https://${host}:${place.port})`;
  const neverRan = `${title} is not reachable: it has never been started ("understudy node run")`;
  const certificates = [readOwn(place.certificateFile, neverRan), ...renewedCertificates(place.renewalFile)];
  const token = readOwn(place.tokenFile, neverRan).trim();
  const { X509Certificate } = await import('node:crypto');
  const endpoint: Endpoint = {
    title,
    host: place.address,
    port: place.port,
    pinnedFingerprints: certificates.map((certificate) => new X509Certificate(certificate).fingerprint256),
  };
  return new RestClient(endpoint, token);
}

/** While the certificate is renewed the server may already, or still, show the other one. */
function renewedCertificates(file: string): string[] {
  try {
    const { certificatePem, formerCertificatePem } = JSON.parse(readFileSync(file, 'utf8'));
    return [certificatePem, formerCertificatePem];
  } catch {
    return [];
  }
}

async function toUrl(text: string, options: GlobalOptions): Promise<RestClient> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:') throw new CliError(EXIT.usage, `--url ${text} is no URL that begins with https://`);
  const endpoint: Endpoint = {
    title: url.origin,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 443),
    ...(options.ca === undefined ? {} : { ca: readGiven(options.ca, '--ca') }),
    ...(options.insecure ? { isInsecure: true } : {}),
  };
  const client = new RestClient(endpoint, null);
  await client.signIn(await loginKey(options));
  return client;
}

async function loginKey({ loginKeyFile }: GlobalOptions): Promise<string> {
  if (loginKeyFile !== undefined) return readGiven(loginKeyFile, '--login-key-file').trim();
  if (!process.stdin.isTTY) throw new CliError(EXIT.usage, 'Signing in with --url needs --login-key-file FILE.');
  const { askHidden } = await import('./ask.ts');
  return askHidden('Authentication key: ');
}

function readOwn(file: string, whenMissing: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CliError(EXIT.unreachable, whenMissing);
    throw new CliError(
      EXIT.refused,
      `${file} cannot be read (${code}); run this as the user of the server, or use --url.`,
    );
  }
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the path, or copy the file here first',
  EACCES: 'this user may not; run this as the user of the server (root)',
  EISDIR: 'it is a directory; name the file in it',
};

/** Reads a file the user named. */
export function readGiven(file: string, option: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new CliError(EXIT.usage, `${option} ${file} cannot be read: ${UNREADABLE[code] ?? code}.`);
  }
}
