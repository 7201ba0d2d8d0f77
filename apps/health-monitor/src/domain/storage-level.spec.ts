import { describe, expect, it } from '@jest/globals';
import { type StorageLevel, secondsLeft, storageLevel, timeText, withSample } from './storage-level.ts';

const THRESHOLDS = { warnPercent: 80, criticalPercent: 90 };
const MINUTE_MS = 60_000;

describe('the level of a file system', () => {
  it.each<[number, StorageLevel, StorageLevel]>([
    [79.9, 'clear', 'clear'],
    [80, 'clear', 'warning'],
    [90, 'clear', 'critical'],
    [90, 'warning', 'critical'],
    [88.5, 'critical', 'critical'],
    [87.9, 'critical', 'warning'],
    [78, 'warning', 'warning'],
    [77.9, 'warning', 'clear'],
    [10, 'critical', 'clear'],
  ])('%d %% used after %s is %s', (percent, before, expected) => {
    expect(storageLevel(percent, before, THRESHOLDS)).toBe(expected);
  });
});

describe('the time that is left', () => {
  const minutes = (...percents: number[]) =>
    percents.map((usedPercent, index) => ({ atMs: index * MINUTE_MS, usedPercent }));

  it.each([
    ['one percent a minute', minutes(50, 51, 52), 48 * 60],
    ['nothing is written', minutes(50, 50), null],
    ['room is freed', minutes(50, 40), null],
    ['full', minutes(90, 100), 0],
    ['only one look', minutes(50), null],
    [
      'two looks within a moment',
      [
        { atMs: 0, usedPercent: 1 },
        { atMs: 1000, usedPercent: 50 },
      ],
      null,
    ],
  ])('%s', (_, samples, expected) => {
    expect(secondsLeft(samples)).toBe(expected);
  });

  it('is told by the last half hour only', () => {
    const after = withSample(minutes(0, 50), { atMs: 40 * MINUTE_MS, usedPercent: 50 });
    expect(after).toEqual([{ atMs: 40 * MINUTE_MS, usedPercent: 50 }]);
  });

  it.each([
    [59, '59 s'],
    [119, '119 s'],
    [150, '3 min'],
    [7199, '120 min'],
    [7200, '2 h'],
    [200_000, '2 days'],
  ])('%d s are %s', (seconds, text) => {
    expect(timeText(seconds)).toBe(text);
  });
});
