import { expect, it } from '@jest/globals';
import type { ProcessView } from '@understudy/contracts';
import { atStart, newRecord } from '@understudy/ha-core';
import { ownStatus, type ViewContext } from './views.ts';

const SETTINGS = {
  maximumLagBytes: 0,
  minimumBetweenFailoversMs: 0,
  replication: 'async',
  wordLastsMs: 0,
  witness: null,
} as const;

/** Whether a server that serves tells its peer that its processes are as they should be. */
function isWellWith(...processes: Pick<ProcessView, 'state' | 'critical'>[]): boolean {
  const server = atStart({ ...newRecord('primary', 'run'), opened: true }, SETTINGS, 0);
  const context = { node: { name: 'alpha', version: '0.1.0' }, facts: null, processes, stopping: false };
  return ownStatus(server, context as unknown as ViewContext).processesOk;
}

it('a process that is switched off is as it should be, however critical it would be', () => {
  expect(isWellWith({ state: 'running', critical: true }, { state: 'disabled', critical: true })).toBe(true);
  expect(isWellWith({ state: 'failed', critical: false })).toBe(true);
  for (const state of ['starting', 'stopped', 'failed'] as const)
    expect(isWellWith({ state, critical: true })).toBe(false);
});
