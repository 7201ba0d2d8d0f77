import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { ProcessConfiguration } from '@understudy/platform';

/** Performs one check of a process within its time limit. True: healthy. No answer is a failed check. */
export async function isHealthy(check: NonNullable<ProcessConfiguration['healthCheck']>): Promise<boolean> {
  const limitMs = check.timeoutSeconds * 1000;
  if (check.http !== undefined) return answersHttp(check.http, limitMs);
  if (check.tcp !== undefined) return acceptsConnection(check.tcp, limitMs);
  return endsWithZero(check.exec ?? ['false'], limitMs);
}

async function answersHttp(url: string, limitMs: number): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(limitMs), redirect: 'manual' });
    await response.body?.cancel();
    return response.status < 400;
  } catch {
    return false;
  }
}

function acceptsConnection(target: string, limitMs: number): Promise<boolean> {
  const separator = target.lastIndexOf(':');
  return new Promise((resolve) => {
    const socket = connect({
      host: target.slice(0, separator),
      port: Number(target.slice(separator + 1)),
      timeout: limitMs,
    });
    const finish = (healthy: boolean) => {
      socket.destroy();
      resolve(healthy);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    socket.once('error', () => finish(false));
  });
}

function endsWithZero([program = 'false', ...args]: readonly string[], limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', timeout: limitMs, killSignal: 'SIGKILL' });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
