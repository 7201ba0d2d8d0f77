import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { healthQueryOf, type ServiceName } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { PreparedNode } from './preparation.ts';

const run = promisify(execFile);

/** A file that is touched whenever the part in this container has answered as it should: its age is the health of the container. */
export function answeredFile(): string {
  return join(tmpdir(), 'answered');
}

/** Asks again and again until the returned function is called, and touches the file after each answer that is as it should be. */
export function reportHealth(isWell: () => Promise<boolean>, everyMs: number): () => void {
  let asking = false;
  const timer = setInterval(async () => {
    if (asking) return;
    asking = true;
    if (await isWell().catch(() => false)) await touch(answeredFile()).catch(() => undefined);
    asking = false;
  }, everyMs);
  return () => clearInterval(timer);
}

/**
 * Whether a service answers and has finished its start. That of the database is well only while the PostgreSQL that it runs, if it
 * runs one, accepts connections over TCP: at its socket it answers while it is still being set up.
 */
export async function isServiceWell(
  bus: Bus,
  name: ServiceName,
  node: PreparedNode,
  limitMs: number,
): Promise<boolean> {
  const { state } = await bus.request(healthQueryOf(name), {}, { timeoutMs: limitMs });
  if (state === 'starting') return false;
  return name !== 'db-replication' || acceptsConnections(node, limitMs);
}

/** Rejects when it does not. */
async function acceptsConnections({ configuration, localAddress }: PreparedNode, limitMs: number): Promise<boolean> {
  const { database, ports } = configuration;
  if (!existsSync(join(database.dataDirectory, 'postmaster.pid'))) return true;
  const words = ['-q', '-h', localAddress, '-p', String(ports.database)];
  await run(join(database.binDirectory ?? '', 'pg_isready'), words, { timeout: limitMs });
  return true;
}

async function touch(file: string): Promise<void> {
  const now = new Date();
  await utimes(file, now, now).catch(() => writeFile(file, ''));
}
