import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const RETRY_MS = 500;

/**
 * Tells the parts of a server that run in containers of their own which run they belong to. Each of them stays connected: the
 * kernel ends the connection with this process, however it ends, and so they learn that the run is over.
 */
export class RunChannel {
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {}

  /** Opens the channel at a path; what an earlier run has left there is replaced. Rejects when it cannot be made. */
  static async open(path: string, runId: string): Promise<RunChannel> {
    rmSync(path, { force: true });
    const server = createServer();
    const channel = new RunChannel(server);
    server.on('connection', (socket) => {
      channel.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => channel.sockets.delete(socket));
      socket.resume();
      socket.write(`${runId}\n`);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    // An application in a container may be of another user; to know the run gives no right.
    chmodSync(path, 0o666);
    return channel;
  }

  /** Ends the run for all who belong to it. */
  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A run of the server, as one of its parts knows it. */
export interface JoinedRun {
  readonly runId: string;
  /** Resolves when the run is over. */
  readonly ended: Promise<void>;
  /** Leaves it, so that nothing of it keeps this process. */
  leave(): void;
}

/** Waits until a server runs at that path and joins its run; null when the signal comes first. `onWait` is called once. */
export async function joinRun(path: string, signal: AbortSignal, onWait: () => void): Promise<JoinedRun | null> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const run = await tryToJoin(path);
    if (run !== null) return run;
    if (isFirst) onWait();
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  return null;
}

function tryToJoin(path: string): Promise<JoinedRun | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const ended = new Promise<void>((end) => socket.once('close', () => end()));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(null));
    let heard = '';
    socket.on('data', (data) => {
      heard += data.toString();
      const [runId, ...more] = heard.split('\n');
      if (runId !== undefined && more.length > 0) resolve({ runId, ended, leave: () => void socket.destroy() });
    });
  });
}
