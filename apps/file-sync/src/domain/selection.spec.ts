import { describe, expect, it } from '@jest/globals';
import { selectionOf } from './selection.ts';

describe('a name with a line break', () => {
  const names = ['\n', 'a\nb', 'a\nb.conf', 'd\n/e\nf.conf'];

  it('is in a set that leaves out others', () => {
    const { takes } = selectionOf(['**'], ['*.tmp']);
    expect(names.filter((name) => !takes(name))).toEqual([]);
  });

  it('is matched by the patterns that name it', () => {
    expect(names.filter((name) => selectionOf(['*.conf'], []).takes(name))).toEqual(['a\nb.conf', 'd\n/e\nf.conf']);
    expect(selectionOf(['**'], ['d*/**']).takes('d\n/e\nf.conf')).toBe(false);
    expect(selectionOf(['**'], ['*.tmp']).takes('\n.tmp')).toBe(false);
  });
});
