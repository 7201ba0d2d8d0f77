import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { Probe } from '../ports/probe.port.ts';
import { MeasuringService } from './measuring.service.ts';

const NOBODY = { missing: 'HA is not configured', isSilent: false };

const zone: Probe = {
  title: 'zone',
  fields: ['timeZone'],
  limitMs: 1000,
  measure: async () => ({ timeZone: { value: 'UTC' } }),
};

describe('measuring', () => {
  it('gives up a probe that hangs, tells it to end, and keeps what the others found', async () => {
    let wasTold = false;
    const hung: Probe = {
      title: 'hung disk',
      fields: ['diskSpeed', 'fileSystems'],
      limitMs: 20,
      isAlone: true,
      measure: (signal) => {
        signal.addEventListener('abort', () => {
          wasTold = true;
        });
        return new Promise(() => undefined);
      },
    };
    const notMeasured = { notMeasured: 'hung disk: no answer within 0.02 s' };
    expect(await new MeasuringService([hung, zone]).measure(NOBODY)).toEqual({
      timeZone: { value: 'UTC' },
      diskSpeed: notMeasured,
      fileSystems: notMeasured,
    });
    expect(wasTold).toBe(true);
  });

  it('tells the reason of a probe that fails', async () => {
    const failing: Probe = { ...zone, measure: () => Promise.reject(new Error('no such file')) };
    expect(await new MeasuringService([failing]).measure(NOBODY)).toEqual({
      timeZone: { notMeasured: 'no such file' },
    });
  });

  it('tells an answer of an unexpected form in words, not as the text of a schema', async () => {
    const measure = async () => ({
      timeZone: z.object({ names: z.array(z.string()) }).parse({ names: [null] }) as never,
    });
    expect(await new MeasuringService([{ ...zone, measure }]).measure(NOBODY)).toEqual({
      timeZone: { notMeasured: 'zone: the answer is not understood (names.0); please report this' },
    });
  });

  it('measures once for all who ask meanwhile, and anew afterwards', async () => {
    let count = 0;
    const counting: Probe = { ...zone, fields: ['cpuCount'], measure: async () => ({ cpuCount: { value: ++count } }) };
    const service = new MeasuringService([counting]);
    const both = await Promise.all([service.measure(NOBODY), service.measure(NOBODY)]);
    expect(both).toEqual([{ cpuCount: { value: 1 } }, { cpuCount: { value: 1 } }]);
    expect(await service.measure(NOBODY)).toEqual({ cpuCount: { value: 2 } });
  });

  it('refuses to measure for another server meanwhile', async () => {
    const service = new MeasuringService([{ ...zone, measure: () => new Promise(() => undefined), limitMs: 50 }]);
    const first = service.measure(NOBODY);
    await expect(service.measure({ ...NOBODY, missing: 'another reason' })).rejects.toMatchObject({
      code: 'operation-running',
    });
    await first;
  });

  it('looks only at the way between the servers where no more is asked for', async () => {
    const way: Probe = { ...zone, fields: ['peerPorts'], measure: async () => ({ peerPorts: { value: [] } }) };
    expect(await new MeasuringService([zone, way]).measure(NOBODY, { only: 'way' })).toEqual({
      peerPorts: { value: [] },
    });
  });

  it('loads the machine with one probe at a time, after all others, and says what it does', async () => {
    const steps: string[] = [];
    const log = (title: string, isAlone: boolean): Probe => ({
      ...{ title, fields: [], limitMs: 1000, isAlone },
      measure: async () => {
        steps.push(`${title} begins`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        steps.push(`${title} ends`);
        return {};
      },
    });
    const service = new MeasuringService([log('disk', true), log('path', true), log('clock', false)]);
    await service.measure(NOBODY, { onStep: (title) => steps.push(title) });
    expect(steps).toEqual([
      'reading what the machine says',
      ...['clock begins', 'clock ends', 'measuring disk', 'disk begins', 'disk ends'],
      ...['measuring path', 'path begins', 'path ends'],
    ]);
  });
});
