import { spawn } from 'node:child_process';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect } from 'node:net';
import type { ProcessConfiguration } from '@understudy/platform';

/** How a process is checked. */
export type HealthCheck = NonNullable<ProcessConfiguration['healthCheck']>;

/**
 * Performs one check of a process within its time limit. Null: healthy; otherwise what was wrong, as a phrase. No answer is a failed
 * check. Never rejects.
 */
export async function checkHealth(check: HealthCheck, environment: NodeJS.ProcessEnv): Promise<string | null> {
  const limitMs = check.timeoutSeconds * 1000;
  try {
    if (check.http !== undefined) return await answersHttp(check.http, limitMs);
    if (check.tcp !== undefined) return await acceptsConnection(check.tcp, limitMs);
    return await endsWithZero(check.exec ?? ['false'], limitMs, environment);
  } catch (error) {
    // what cannot even be tried, for want of memory say
    return `the check could not be made: ${(error as Error).message}`;
  }
}

function answersHttp(url: string, limitMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const request = url.startsWith('https:') ? requestHttps : requestHttp;
    // A certificate of the application's own is no matter of its health.
    const attempt = request(url, { agent: false, rejectUnauthorized: false });
    const finish = (result: string | null) => {
      clearTimeout(timer);
      attempt.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish(`${url} gave no answer within ${limitMs} ms`), limitMs);
    attempt.once('response', ({ statusCode = 0 }) =>
      finish(statusCode < 400 ? null : `${url} answered with status ${statusCode}`),
    );
    attempt.on('error', (error: NodeJS.ErrnoException) => finish(`${url}: ${error.code ?? error.message}`));
    attempt.end();
  });
}

function acceptsConnection(target: string, limitMs: number): Promise<string | null> {
  const separator = target.lastIndexOf(':');
  return new Promise((resolve) => {
    const socket = connect({
      host: target.slice(0, separator).replace(/^\[(.*)\]$/, '$1'),
      port: Number(target.slice(separator + 1)),
    });
    const finish = (result: string | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish(`${target} accepted no connection within ${limitMs} ms`), limitMs);
    socket.once('connect', () => finish(null));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`${target}: ${error.code ?? error.message}`));
  });
}

function endsWithZero(
  command: readonly string[],
  limitMs: number,
  environment: NodeJS.ProcessEnv,
): Promise<string | null> {
  const [program = 'false', ...args] = command;
  return new Promise((resolve) => {
    // In a session of its own, so that at the limit the children of a shell script go too.
    const child = spawn(program, args, { stdio: 'ignore', detached: true, env: environment });
    const finish = (result: string | null) => {
      clearTimeout(timer);
      resolve(result);
    };
    const timer = setTimeout(() => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // gone meanwhile
      }
      finish(`${program} did not end within ${limitMs} ms`);
    }, limitMs);
    child.once('error', (error) => finish(error.message));
    child.once('exit', (code, signal) => finish(code === 0 ? null : `${program} ended with ${signal ?? code}`));
  });
}
