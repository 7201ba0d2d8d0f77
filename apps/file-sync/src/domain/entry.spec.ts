import { describe, expect, it } from '@jest/globals';
import { shownPath } from './entry.ts';

describe('a path for people', () => {
  it.each([
    ['etc/café "x"', 'etc/café "x"'],
    ['new\nline', 'new\\nline'],
    ['\u001b[31mred', '\\u001b[31mred'],
    ['delete\u007f', 'delete\\u007f'],
    // a terminal may take it for an escape sequence
    ['café\u009b31m', 'café\\u009b31m'],
    ['txt.\u202eexe', 'txt.\\u202eexe'],
  ])('%j is shown without what a terminal acts on', (name, shown) => {
    expect(shownPath(Buffer.from(name).toString('latin1'))).toBe(shown);
  });

  it('is shown by its bytes where it is not UTF-8', () => {
    expect(shownPath('\xe9t\xe9\x9b1m')).toBe('été\\u009b1m');
  });
});
