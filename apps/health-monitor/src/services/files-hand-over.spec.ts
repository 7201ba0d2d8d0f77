import { expect, it } from '@jest/globals';
import type { ProcessesPort } from '@understudy/ha-runtime';
import { stoppingWith } from './files-hand-over.ts';

/** Processes that note what is done to them. */
function noting(done: string[], stopAll = async () => void done.push('stopped')): ProcessesPort {
  return {
    startAll: async (epoch) => void done.push(`started under ${epoch}`),
    stopAll,
    killAll: async () => void done.push('killed'),
  };
}

it('files follow after the processes have stopped in an orderly way, never when they are killed', async () => {
  const done: string[] = [];
  const processes = stoppingWith(noting(done), async () => void done.push('files'));
  await processes.startAll(3, new AbortController().signal);
  await processes.stopAll();
  await processes.killAll();
  expect(done).toEqual(['started under 3', 'stopped', 'files', 'killed']);
});

it('files do not follow while a process writes on', async () => {
  const done: string[] = [];
  const stopAll = () => Promise.reject(new Error('cannot be killed'));
  const processes = stoppingWith(noting(done, stopAll), async () => void done.push('files'));
  await expect(processes.stopAll()).rejects.toThrow('cannot be killed');
  expect(done).toEqual([]);
});
