import { describe, expect, it } from '@jest/globals';
import { simulate } from './simulate.ts';
import { readOptions } from './simulate-options.ts';

const silent = () => undefined;

async function run(...args: string[]) {
  const lines: string[] = [];
  const exitCode = await simulate([...args, '--jobs', '1'], (line) => lines.push(line));
  return { exitCode, text: lines.join('\n') };
}

describe('the options of npm run simulate', () => {
  it('are those that were given, and sensible ones otherwise', () => {
    expect(readOptions([], silent)).toMatchObject({ seed: 1, seeds: null, hours: 1, trace: false, plant: undefined });
    expect(readOptions(['--seed', '7', '--hours', '0.5', '--jobs', '3'], silent)).toMatchObject({
      seed: 7,
      hours: 0.5,
      jobs: 3,
    });
    expect(readOptions(['--seeds', '1', '--trace'], silent)).toMatchObject({ seeds: 1, trace: true });
  });

  it.each([
    [['--seed', '-1'], '--seed', 'a whole number from 0'],
    [['--hours', 'many'], '--hours', 'a number above 0'],
    [['--hours', '0'], '--hours', 'a number above 0'],
    [['--seeds', '0'], '--seeds', 'a whole number from 1'],
    [['--jobs', '1.5'], '--jobs', 'a whole number from 1'],
    [['--plant', 'nothing'], '--plant', 'Allowed choices'],
    [['--sede', '1'], '--sede', '--seed'],
  ])('%j is refused with the option and the remedy', async (args, option, remedy) => {
    const { exitCode, text } = await run(...args);
    expect(exitCode).toBe(2);
    expect(text).toContain(option);
    expect(text).toContain(remedy);
  });

  it('--help says what there is', async () => {
    const { exitCode, text } = await run('--help');
    expect(exitCode).toBe(0);
    for (const option of ['--seed', '--hours', '--seeds', '--jobs', '--trace']) expect(text).toContain(option);
  });
});

describe('npm run simulate', () => {
  it('ends with 0 and a summary when no law is broken', async () => {
    const { exitCode, text } = await run('--seed', '2', '--seeds', '2');
    expect(exitCode).toBe(0);
    expect(text).toContain('no law broken in 2 seeds from 2 on');
    expect(text).toMatch(/\d+ faults and orders/);
  });

  it('ends with 1, the seed, the trace and the way to see it again when a law is broken', async () => {
    const { exitCode, text } = await run('--seeds', '100', '--plant', 'nothing is set aside');
    expect(exitCode).toBe(1);
    const seed = /^seed (\d+) breaks a law: \d+ acknowledged writes/m.exec(text)?.[1];
    expect(text).toContain('second  where');
    expect(text).toContain(`npm run simulate -- --seed ${seed} --seeds 1 --trace --plant 'nothing is set aside'`);
    expect(text).toContain('A LAW IS BROKEN');
  }, 60_000);
});
