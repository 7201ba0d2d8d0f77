import { beforeEach, expect, it } from '@jest/globals';
import { Silence } from './silence.ts';

let silence: Silence;
beforeEach(() => {
  silence = new Silence(5000);
});

it('that is confirmed stays so while it lasts, however late a word of it comes', () => {
  expect(silence.isConfirmed(15_000, 115_000)).toBe(false);
  silence.confirmed(30_000, 130_000);
  expect(silence.isConfirmed(35_000, 135_000)).toBe(true);
  expect(silence.isConfirmed(40_000, 143_000)).toBe(true);
});

it('is another one after a sign of life, after an answer of the URL, and when it has begun later', () => {
  silence.confirmed(30_000, 130_000);
  expect(silence.isConfirmed(15_000, 160_000)).toBe(false);
  silence.ended();
  expect(silence.isConfirmed(35_000, 135_000)).toBe(false);
});
