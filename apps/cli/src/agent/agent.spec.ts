import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { processStartTime, SILENT_LOGGER } from '@understudy/platform';
import { runAgent } from './agent.ts';
import { callAgent } from './call.ts';
import { send } from './wire.ts';

const TOLD = { UNDERSTUDY_NODE_NAME: 'alpha', SECRET: 'ours' };

let directory: string;
let socket: string;
let agents: { end: AbortController; done: Promise<void> }[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agent-'));
  socket = join(directory, 'agents', 'app.sock');
  agents = [];
});

afterEach(async () => {
  for (const { end } of agents) end.abort();
  await Promise.all(agents.map(({ done }) => done));
  rmSync(directory, { recursive: true });
});

function agentWith(script: string): { end: AbortController; done: Promise<void> } {
  const end = new AbortController();
  const agent = { end, done: runAgent({ socket, command: ['sh', '-c', script] }, end.signal, SILENT_LOGGER) };
  agents.push(agent);
  return agent;
}

function call(): { stop: AbortController; code: Promise<number> } {
  const stop = new AbortController();
  return { stop, code: callAgent(socket, TOLD, stop.signal) };
}

it('the command runs when it is called for, is told where, and its exit code comes back', async () => {
  const out = join(directory, 'out');
  agentWith(`echo "$UNDERSTUDY_NODE_NAME,$SECRET" > ${out}; exit 7`);
  expect(await call().code).toBe(7);
  expect(readFileSync(out, 'utf8')).toBe('alpha,\n');
});

it('a call waits for its agent; told to stop the command stops in order, and can be called for again', async () => {
  for (const _ of ['once', 'again']) {
    const file = join(directory, 'pid');
    rmSync(file, { force: true });
    const { stop, code } = call();
    if (agents.length === 0) agentWith(`trap 'exit 3' TERM; echo $$ > ${file}; while :; do sleep 0.01; done`);
    await pidIn(file);
    stop.abort();
    expect(await code).toBe(3);
  }
});

it('when the caller dies the command and what it has started are killed, though they do not listen and left its session', async () => {
  const [file, child] = [join(directory, 'pid'), join(directory, 'child')];
  let caller: Socket | undefined;
  const server = createServer((connection) => {
    caller = connection;
    connection.on('error', () => undefined);
    send(connection, { type: 'run', environment: {} });
  });
  socket = join(directory, 'app.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  agentWith(`trap '' TERM; setsid sh -c 'trap "" TERM; echo $$ > ${child}; sleep 60; :' & echo $$ > ${file}; wait`);
  const pids = [await pidIn(file), await pidIn(child)];
  server.close();
  caller?.destroy();
  await until(() => pids.every((pid) => processStartTime(pid) === null));
});

it('when the agent ends the command ends before it, and the caller is told', async () => {
  const file = join(directory, 'pid');
  const { end, done } = agentWith(`echo $$ > ${file}; exec sleep 60`);
  const { code } = call();
  const pid = await pidIn(file);
  end.abort();
  await done;
  expect(processStartTime(pid)).toBeNull();
  expect(await code).toBe(1);
});

it('of two agents of one name one runs its command', async () => {
  const file = join(directory, 'pid');
  const script = `echo $$ >> ${file}; exec sleep 60`;
  agentWith(script);
  agentWith(script);
  const { stop, code } = call();
  const pid = await pidIn(file);
  await new Promise((resolve) => setTimeout(resolve, 300)); // time for the other one to call three times
  expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(1);
  expect(processStartTime(pid)).not.toBeNull();
  stop.abort();
  expect(await code).toBe(1);
});

it('a command that cannot be started is over, with the code of shells', async () => {
  const end = new AbortController();
  agents.push({ end, done: runAgent({ socket, command: ['/no/such/program'] }, end.signal, SILENT_LOGGER) });
  expect(await call().code).toBe(127);
});

async function pidIn(file: string): Promise<number> {
  await until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
  return Number(readFileSync(file, 'utf8').split('\n')[0]);
}

async function until(condition: () => boolean): Promise<void> {
  for (const limit = performance.now() + 15_000; !condition(); ) {
    if (performance.now() > limit) throw new Error(`not within 15 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
