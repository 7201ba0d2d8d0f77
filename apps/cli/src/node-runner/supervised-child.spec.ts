import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { type Logger, SILENT_LOGGER, SystemClock } from '@understudy/platform';
import type { RotatingLog } from './rotating-log.ts';
import { SupervisedChild } from './supervised-child.ts';

it('a part that the system refuses to start is tried again with growing pauses, and the runner lives on', async () => {
  const warned: string[] = [];
  const logger = { ...SILENT_LOGGER, warn: (message: string) => void warned.push(message) } as unknown as Logger;
  // an argument that no program can be given: refused by an exception, as a want of memory is
  const command = { name: 'part', program: 'true', args: ['\0'], environment: {}, isService: false };
  const child = new SupervisedChild(command, new SystemClock(), logger, {} as RotatingLog, () => undefined);
  child.start();
  await delay(400);
  const tries = warned.length;
  expect(tries).toBeGreaterThan(1);
  expect(tries).toBeLessThan(6);
  expect(child.pid).toBeNull();
  await child.stop({ shutdown: false, limitMs: 100 });
  await delay(1000);
  expect(warned).toHaveLength(tries);
});
