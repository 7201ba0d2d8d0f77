import { request } from 'node:http';
import { z } from 'zod';

const QUICK_MS = 5000;
const DEFAULT_SOCKET = '/var/run/docker.sock';

const ContainerSchema = z.object({
  Id: z.string(),
  State: z.object({ Running: z.boolean(), Pid: z.int(), ExitCode: z.int(), OOMKilled: z.boolean().default(false) }),
  HostConfig: z.object({ RestartPolicy: z.object({ Name: z.string() }) }),
});
/** A container as the engine describes it. `Pid` is 0 while it does not run. */
export type Container = z.infer<typeof ContainerSchema>;

/** The engine does not answer: nothing can be told of containers. */
export class EngineSilentError extends Error {
  override readonly name = 'EngineSilentError';
}

/** Where the engine listens: `DOCKER_HOST` where it names a socket of this machine. */
export function engineSocket({ DOCKER_HOST = '' }: NodeJS.ProcessEnv): string {
  return DOCKER_HOST.startsWith('unix://') ? DOCKER_HOST.slice('unix://'.length) : DEFAULT_SOCKET;
}

/** The Docker Engine of this machine, over its socket. Every call rejects with the engine's own words, or with `EngineSilentError`. */
export class DockerEngine {
  constructor(private readonly socketPath: string) {}

  /** Null: there is no such container. */
  async inspect(name: string): Promise<Container | null> {
    const { status, body } = await this.call('GET', `${pathOf(name)}/json`);
    return status === 404 ? null : ContainerSchema.parse(JSON.parse(body));
  }

  async start(name: string, signal: AbortSignal): Promise<void> {
    const { status } = await this.call('POST', `${pathOf(name)}/start`, { limitMs: 60_000, signal });
    if (status === 404) throw new Error(`there is no container ${name}`);
  }

  /** Resolves when it does not run: asked first, killed by the engine after the grace time. */
  async stop(name: string, graceSeconds: number): Promise<void> {
    const limitMs = graceSeconds * 1000 + 10_000;
    await this.call('POST', `${pathOf(name)}/stop?t=${graceSeconds}`, { limitMs });
  }

  /** Does nothing to one that does not run. */
  async kill(name: string): Promise<void> {
    await this.call('POST', `${pathOf(name)}/kill`);
  }

  /** From now on the engine does not restart it by itself, neither when it ends nor at boot. */
  async leaveRestartsToUs(name: string): Promise<void> {
    await this.call('POST', `${pathOf(name)}/update`, { body: { RestartPolicy: { Name: 'no' } } });
  }

  /** Resolves with an answer that tells of success, of nothing to do (304, 409), or of no such container (404). */
  private call(
    method: string,
    path: string,
    { limitMs = QUICK_MS, signal, body }: { limitMs?: number; signal?: AbortSignal; body?: object } = {},
  ): Promise<{ status: number; body: string }> {
    const signals = [AbortSignal.timeout(limitMs), ...(signal ? [signal] : [])];
    return new Promise((resolve, reject) => {
      const silent = (error: Error) =>
        reject(
          error.name === 'TimeoutError'
            ? new EngineSilentError(`the Docker engine did not answer within ${limitMs / 1000} s`)
            : new EngineSilentError(`the Docker engine is not reached by ${this.socketPath}: ${error.message}`),
        );
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers = { host: 'docker', 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      const options = { socketPath: this.socketPath, method, path, headers, agent: false };
      const sent = request({ ...options, signal: AbortSignal.any(signals) }, (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          answer += part;
        });
        response.once('error', silent).once('end', () => {
          const { statusCode: status = 0 } = response;
          if (status < 400 || status === 404 || status === 409) resolve({ status, body: answer });
          else reject(new Error(messageIn(answer) ?? `the Docker engine answered with status ${status}`));
        });
      });
      sent.once('error', silent).end(text);
    });
  }
}

const pathOf = (name: string) => `/containers/${encodeURIComponent(name)}`;

function messageIn(answer: string): string | null {
  try {
    return z.object({ message: z.string() }).parse(JSON.parse(answer)).message;
  } catch {
    return null;
  }
}
