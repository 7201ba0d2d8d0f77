import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { APPLICATION_MARK, bootId, NodePaths, ProcessRecords, processStartTime } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll } from './kill-all.ts';

let directory: string;
let leader: ChildProcess;
let child: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'application-'));
  // as what writes its title over its environment: neither of the two shows the mark
  const script = 'sleep 60 & echo $!; wait';
  leader = spawn('sh', ['-c', script], { detached: true, env: {}, stdio: ['ignore', 'pipe', 'ignore'] });
  child = Number(await new Promise((resolve) => leader.stdout?.once('data', resolve)));
});

afterEach(() => {
  killAll([leader.pid as number, child]);
  rmSync(directory, { recursive: true });
});

function record(startTime: number): void {
  const identity = { pid: leader.pid as number, startTime, bootId: bootId() };
  const records = new ProcessRecords(new NodePaths(directory).processes);
  records.write({ ...identity, name: 'app', startedAtUnixMs: 0, digest: '' });
}

it('what a process has started is found by its session, though it hides the environment that it was started with', () => {
  record(processStartTime(leader.pid as number) ?? 0);
  expect(applicationProcesses(directory).toSorted()).toEqual([leader.pid, child].toSorted());
});

it('the session of a stranger who got the pid is left alone', () => {
  record(1);
  expect(applicationProcesses(directory)).toEqual([]);
});

it('what carries the mark is found without a record', async () => {
  const marked = spawn('sleep', ['60'], { env: { [APPLICATION_MARK]: `${directory}|app` }, stdio: 'ignore' });
  await new Promise((resolve) => marked.once('spawn', resolve));
  expect(applicationProcesses(directory)).toEqual([marked.pid]);
  marked.kill('SIGKILL');
});
