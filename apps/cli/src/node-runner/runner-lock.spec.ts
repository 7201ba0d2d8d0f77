import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { bootId, NodePaths } from '@understudy/platform';
import { type RunnerLock, takeRunnerLock } from './runner-lock.ts';

const DEAD = { pid: 999_999_999, startTime: 1 };
const CHILD = { name: 'health-monitor', pid: 999_999_998, startTime: 2 };

let paths: NodePaths;

beforeEach(() => {
  paths = new NodePaths(mkdtempSync(join(tmpdir(), 'understudy-lock-')));
  mkdirSync(paths.run, { recursive: true });
});

afterEach(() => rmSync(paths.dataDirectory, { recursive: true }));

const leave = (lock: Omit<RunnerLock, 'runId'>) =>
  writeFileSync(paths.runnerLock, JSON.stringify({ runId: 'before', ...lock }));
const lock = () => JSON.parse(readFileSync(paths.runnerLock, 'utf8')) as RunnerLock;

it('what a killed runner has left is known to the next, and to the one after it when that one is killed too', () => {
  leave({ ...DEAD, bootId: bootId(), children: [CHILD] });
  expect(takeRunnerLock(paths, 'second')?.children).toEqual([CHILD]);
  expect(lock()).toMatchObject({ pid: process.pid, runId: 'second', children: [CHILD] });
  leave({ ...lock(), ...DEAD });
  expect(takeRunnerLock(paths, 'third')?.children).toEqual([CHILD]);
});

it('what ran before the machine was booted has ended with it', () => {
  leave({ ...DEAD, bootId: 'another', children: [CHILD] });
  takeRunnerLock(paths, 'second');
  expect(lock().children).toEqual([]);
});
