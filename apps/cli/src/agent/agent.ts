import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { allPids, environmentOf, type Logger, processStartTime } from '@understudy/platform';
import { follow, send, type ToAgent, ToAgentSchema } from './wire.ts';

/** A call that is there is found within this time. */
const LOOK_MS = 100;
/** Between two looks for what is left of a command. */
const LEFT_MS = 20;
/** In the environment of all that a command starts, even of what leaves its session: the socket of its agent. */
const MARK = 'UNDERSTUDY_AGENT_SOCKET';

/**
 * Runs a command in this container as long as a caller is connected: `understudy with-agent` in the container of the health monitor.
 * The kernel ends the connection with the caller, however that ends, and then the command is killed at once; asked to stop, it gets
 * SIGTERM. Until the signal is aborted, which stops the command in order. Decision: docs/decisions/0017-containers.md.
 */
export async function runAgent(
  { socket: path, command }: { readonly socket: string; readonly command: readonly string[] },
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  while (!signal.aborted) {
    const socket = await called(path);
    if (socket !== null) await serve(socket, command, { path, signal, logger });
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Null: nobody calls. */
function called(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}

/** One call, until the connection has ended and nothing of the command is left. */
async function serve(
  socket: Socket,
  command: readonly string[],
  { path, signal, logger }: { path: string; signal: AbortSignal; logger: Logger },
): Promise<void> {
  let child: ChildProcess | null = null;
  let over = Promise.resolve();
  const stop = () => {
    if (child === null) socket.end();
    else askToStop(child);
  };
  follow(socket, ToAgentSchema, (message: ToAgent) => {
    if (message.type === 'stop') return stop();
    if (child !== null) return;
    logger.info('Starting the command', { command: command[0] });
    child = start(command, { ...message.environment, [MARK]: path });
    over = ended(child).then(async ({ code, reason }) => {
      await killAllOf(path);
      logger.info('The command has ended', { reason });
      send(socket, { type: 'ended', code, reason });
      socket.end();
    });
    if (child.pid !== undefined) send(socket, { type: 'started', pid: child.pid });
  });
  signal.addEventListener('abort', stop);
  await new Promise((resolve) => socket.once('close', resolve));
  signal.removeEventListener('abort', stop);
  // nobody answers for it any more; an agent that was refused has started nothing, and leaves the command of another of its name alone
  if (child !== null) await killAllOf(path);
  await over;
}

function start([program = '', ...args]: readonly string[], told: Readonly<Record<string, string>>): ChildProcess {
  return spawn(program, args, {
    detached: true, // a process group of its own, which is ended as a whole
    env: { ...process.env, ...told },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

function ended(child: ChildProcess): Promise<{ code: number | null; reason: string }> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, reason: error.message }));
    child.once('exit', (code, by) =>
      resolve({ code, reason: by === null ? `it ended with exit code ${code}` : `it was ended by ${by}` }),
    );
  });
}

/** Its whole group is asked, as a terminal does it. */
function askToStop({ pid }: ChildProcess): void {
  if (pid !== undefined) signalTo(-pid, 'SIGTERM');
}

/** Kills all that the command has started; resolves when nothing of it is alive. */
async function killAllOf(path: string): Promise<void> {
  const mark = `${MARK}=${path}`;
  for (;;) {
    const left = allPids().filter((pid) => processStartTime(pid) !== null && environmentOf(pid).includes(mark));
    if (left.length === 0) return;
    for (const pid of left) signalTo(pid, 'SIGKILL');
    await delay(LEFT_MS);
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone meanwhile
  }
}
