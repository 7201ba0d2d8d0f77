import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '@understudy/platform';
import type { Programs } from './checks.ts';
import type { PairLink } from './pair-link.ts';
import type { PreparedNode } from './preparation.ts';
import { restoreFile } from './restore-file.ts';
import { redisConfiguration } from './server-configurations.ts';
import type { ChildCommand } from './supervised-child.ts';

const APPS = fileURLToPath(new URL('../../../', import.meta.url));

/** How this server's bus is run; its configuration is written by the pair link. */
export function natsCommand(link: PairLink, programs: Pick<Programs, 'nats' | 'setpriv'>): ChildCommand {
  return serverCommand('nats-server', [programs.nats, '-c', link.file], programs, () => link.restore());
}

/** How this server's node store is run, once its configuration is written. */
export function redisCommand(node: PreparedNode, programs: Pick<Programs, 'redis' | 'setpriv'>): ChildCommand {
  const file = redisFile(node);
  return serverCommand('redis-server', [programs.redis, file], programs, () => restoreFile(file, redisText(node)));
}

/** Writes the configuration of the node store. */
export async function writeRedisConfiguration(node: PreparedNode): Promise<void> {
  await writeFileAtomically(redisFile(node), redisText(node), { mode: 0o600 });
}

/** How a service is run, or all of them: `composed`. */
export function serviceCommand({ paths, runId }: PreparedNode, name: string): ChildCommand {
  const environment = {
    NODE_ENV: 'production',
    ...process.env,
    UNDERSTUDY_CONFIG_FILE: paths.configuration,
    UNDERSTUDY_RUN_ID: runId,
    NODE_COMPILE_CACHE: paths.compileCache,
  };
  const heapMiB = name === 'composed' ? 384 : 128;
  const args = ['--max-semi-space-size=1', `--max-old-space-size=${heapMiB}`, join(APPS, name, 'dist', 'main.js')];
  return { name, program: process.execPath, args, environment, isService: true };
}

/** Bus and store end with this process, however it ends. */
function serverCommand(
  name: string,
  [program, ...args]: [string, ...string[]],
  { setpriv }: Pick<Programs, 'setpriv'>,
  prepare: () => void,
): ChildCommand {
  const command = { name, environment: process.env, isService: false, prepare };
  if (setpriv === null) return { ...command, program, args };
  return { ...command, program: setpriv, args: ['--pdeathsig', 'KILL', program, ...args] };
}

function redisFile({ paths }: PreparedNode): string {
  return join(paths.redis, 'redis.conf');
}

function redisText({ configuration, paths, localAddress, store }: PreparedNode): string {
  return redisConfiguration({
    listen: localAddress,
    port: configuration.ports.store,
    password: store.password,
    directory: paths.redis,
  });
}
