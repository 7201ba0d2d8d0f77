import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { follow, send, type ToCaller, ToCallerSchema } from './wire.ts';

/** Of our environment, what an application is told about where it runs. */
const TOLD = ['PGHOST', 'PGPORT', 'PGUSER', 'UNDERSTUDY_NODE_NAME', 'UNDERSTUDY_NODE_ADDRESS'];

/**
 * Stands for a command that runs in another container: waits for its agent, has it start the command, and ends when that has ended.
 * Aborting the signal stops the command in order. Resolves with the exit code of the command, 1 when it was ended by a signal or the agent
 * has gone. Who kills this process kills the command.
 */
export async function callAgent(path: string, environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const told = Object.fromEntries(
    TOLD.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  const server = createServer();
  try {
    const over = Promise.withResolvers<number>();
    let agent: Socket | null = null;
    server.on('connection', (socket) => {
      // a second agent of this name would be a second application
      if (agent !== null || signal.aborted) return socket.destroy();
      agent = socket;
      let code: number | null = null;
      follow(socket, ToCallerSchema, (message: ToCaller) => {
        if (message.type === 'ended') code = message.code;
        say(message);
      });
      socket.once('close', () => over.resolve(code ?? 1));
      send(socket, { type: 'run', environment: told });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    // the agent may be of another user: the application's
    chmodSync(path, 0o666);
    const stop = () => (agent === null ? over.resolve(0) : send(agent, { type: 'stop' }));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    return await over.promise;
  } finally {
    server.close();
    rmSync(path, { force: true });
  }
}

function say(message: ToCaller): void {
  const what = message.type === 'started' ? `started, process ${message.pid} of its container` : message.reason;
  process.stdout.write(`${new Date().toISOString()} ${what}\n`);
}
