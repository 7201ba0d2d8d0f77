import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Candidate } from '@understudy/contracts';
import { connectionString, REPLICATION_ROLE, type ServiceEnvironment } from '@understudy/platform';

/** What a run of psql has brought. */
export interface PsqlResult {
  readonly output: string;
  readonly bytes: number;
  readonly milliseconds: number;
  /** False: it was ended because its time was over. */
  readonly isWhole: boolean;
}

/** How to reach this server's own PostgreSQL: its socket. */
export function ownConnection({ configuration, paths }: ServiceEnvironment): Record<string, string | number> {
  return {
    host: paths.sockets,
    port: configuration.ports.database,
    user: 'postgres',
    dbname: 'postgres',
    connect_timeout: 3,
  };
}

/** How this server's PostgreSQL reaches the peer's: by certificate, over TLS. */
export function peerConnection({ paths }: ServiceEnvironment, peer: Candidate): Record<string, string | number> {
  return {
    host: peer.address,
    port: peer.ports.database,
    user: REPLICATION_ROLE,
    dbname: 'postgres',
    sslmode: 'verify-ca',
    sslrootcert: join(paths.postgresqlConfig, 'peer.pem'),
    sslcert: paths.certificate,
    sslkey: paths.privateKey,
    gssencmode: 'disable',
    connect_timeout: 3,
    application_name: 'understudy-readiness',
  };
}

/**
 * Runs one statement with psql, for at most `limitMs`; text output is kept up to 1 MiB. Rejects with what PostgreSQL says. Nothing of
 * our own environment leaks in.
 */
export function psql(
  { configuration }: ServiceEnvironment,
  connection: Readonly<Record<string, string | number>>,
  statement: string,
  limitMs: number,
): Promise<PsqlResult> {
  const program = join(configuration.database.binDirectory ?? '', 'psql');
  const target = connectionString(connection);
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(program, ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-c', statement, '-d', target], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', HOME: '/nonexistent' },
    });
    let [output, errors, bytes, isWhole] = ['', '', 0, true];
    child.stdout.on('data', (data: Buffer) => {
      bytes += data.length;
      if (bytes <= 1024 * 1024) output += data.toString();
    });
    child.stderr.on('data', (data) => {
      errors += String(data);
    });
    const timer = setTimeout(() => {
      isWhole = false;
      child.kill('SIGKILL');
    }, limitMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      const milliseconds = performance.now() - began;
      if (code === 0 || !isWhole) resolve({ output: output.trim(), bytes, milliseconds, isWhole });
      else
        reject(
          new Error(
            errors
              .trim()
              .split('\n')[0]
              ?.replace(/^psql: (error: )?/, '') ?? `psql ended with ${code}`,
          ),
        );
    });
  });
}
