import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { ChangeWatch, TOGETHER } from './change-watch.ts';

it('tells of changes that belong together while others go on, also when a look at them takes long', async () => {
  const root = mkdtempSync(join(tmpdir(), 'understudy-watch-'));
  const told: number[] = [];
  const changed = async () => {
    told.push(performance.now());
    await delay(500);
  };
  const watch = new ChangeWatch({ changed, refused: () => undefined }, { ...TOGETHER, longestMs: 300 });
  try {
    watch.follow('', statSync(root), root);
    const endMs = performance.now() + 3000;
    while (performance.now() < endMs) {
      writeFileSync(join(root, 'a'), 'x');
      await delay(100);
    }
    // 300 ms, and then a look and a rest of half a second each
    expect(told.length).toBeGreaterThanOrEqual(2);
  } finally {
    watch.close();
    rmSync(root, { recursive: true });
  }
});
