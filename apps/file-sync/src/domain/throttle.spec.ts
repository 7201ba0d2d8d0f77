import { expect, it } from '@jest/globals';
import { Throttle } from './throttle.ts';

it('so many bytes are sent each second, whoever asks, and what was not used is not saved up', () => {
  const throttle = new Throttle(1000);
  expect([500, 500, 1000].map((bytes) => throttle.waitMs(bytes, 0))).toEqual([0, 500, 1000]);
  expect(throttle.waitMs(100, 1500)).toBe(500);
  expect([1000, 1000].map((bytes) => throttle.waitMs(bytes, 100_000))).toEqual([0, 1000]);
});
