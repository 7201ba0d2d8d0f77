import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { Probe } from '../ports/probe.port.ts';
import { MeasuringService } from './measuring.service.ts';

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
    expect(await new MeasuringService([hung, zone]).measure()).toEqual({
      timeZone: { value: 'UTC' },
      diskSpeed: notMeasured,
      fileSystems: notMeasured,
    });
    expect(wasTold).toBe(true);
  });

  it('tells the reason of a probe that fails', async () => {
    const failing: Probe = { ...zone, measure: () => Promise.reject(new Error('no such file')) };
    expect(await new MeasuringService([failing]).measure()).toEqual({ timeZone: { notMeasured: 'no such file' } });
  });

  it('tells an answer of an unexpected form in words, not as the text of a schema', async () => {
    const measure = async () => ({
      timeZone: z.object({ names: z.array(z.string()) }).parse({ names: [null] }) as never,
    });
    expect(await new MeasuringService([{ ...zone, measure }]).measure()).toEqual({
      timeZone: { notMeasured: 'zone: the answer is not understood (names.0); please report this' },
    });
  });

  it('measures once for all who ask meanwhile, and anew afterwards', async () => {
    let count = 0;
    const counting: Probe = { ...zone, fields: ['cpuCount'], measure: async () => ({ cpuCount: { value: ++count } }) };
    const service = new MeasuringService([counting]);
    const both = await Promise.all([service.measure(), service.measure()]);
    expect(both).toEqual([{ cpuCount: { value: 1 } }, { cpuCount: { value: 1 } }]);
    expect(await service.measure()).toEqual({ cpuCount: { value: 2 } });
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
    await service.measure((title) => steps.push(title));
    expect(steps).toEqual([
      'reading what the machine says',
      ...['clock begins', 'clock ends', 'measuring disk', 'disk begins', 'disk ends'],
      ...['measuring path', 'path begins', 'path ends'],
    ]);
  });
});
