import { expect, it } from '@jest/globals';
import { weaknessOf } from './key-standard.ts';

// Spec: "Reset the HA Authentication Key".
it.each([
  ['Correct-Horse-7-Battery', null],
  ['Ab3defgh', null],
  ['käse UND Brot', null],
  ['Ab3defg', 'has 7 characters; it needs at least 8'],
  ['correct-horse-battery', 'has 2 of these'],
  ['12345678901', 'has 1 of these'],
  ['Correct1111Horse', 'has a character more than 3 times in a row'],
  ['Correct111Horse', null],
  ['My-ALPHA-server-7', 'contains the name alpha'],
])('%j as an authentication key: %s', (key, expected) => {
  const weakness = weaknessOf(key, ['alpha', 'beta']);
  if (expected === null) expect(weakness).toBeNull();
  else expect(weakness).toContain(expected);
});
