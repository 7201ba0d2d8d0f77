import { readFileSync, renameSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const NAMES = 500;
const EVERY_MS = 10;
const LAST_LIMIT_MS = 20_000;

/** Milliseconds from a change on the active server to its being read on the standby. */
export interface Delays {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Changes 100 files each second in one directory, and waits until each is in the other. Throws when one never comes. */
export async function measureChanges(from: string, to: string, seconds: number): Promise<Delays> {
  const total = Math.round((seconds * 1000) / EVERY_MS);
  const changedAtMs: number[] = [];
  const delaysMs: number[] = [];
  /** Next change of a name that has not been seen yet. */
  const unseen = new Map<string, number>();
  const see = (name: string) => {
    const next = unseen.get(name);
    if (next === undefined) return;
    const seen = Number(readFileSync(join(to, name), 'utf8'));
    const nowMs = performance.now();
    for (let index = next; index <= seen; index += NAMES) delaysMs.push(nowMs - (changedAtMs[index] ?? nowMs));
    unseen.set(name, Math.max(next, seen + NAMES));
  };
  const watcher = watch(to, (_, name) => {
    if (name?.startsWith('change-')) see(name);
  });
  try {
    const begunAtMs = performance.now();
    for (let index = 0; index < total; index++) {
      await delay(Math.max(0, begunAtMs + index * EVERY_MS - performance.now()));
      const name = `change-${index % NAMES}`;
      if (!unseen.has(name)) unseen.set(name, index);
      writeFileSync(join(from, `.${name}.tmp`), String(index));
      changedAtMs[index] = performance.now();
      renameSync(join(from, `.${name}.tmp`), join(from, name));
    }
    const endMs = performance.now() + LAST_LIMIT_MS;
    while (delaysMs.length < total) {
      if (performance.now() > endMs) throw new Error(`${total - delaysMs.length} of ${total} changes never came`);
      await delay(20);
    }
  } finally {
    watcher.close();
  }
  return delaysOf(delaysMs);
}

/** Throws when there are none. */
export function delaysOf(delaysMs: readonly number[]): Delays {
  const sorted = delaysMs.toSorted((a, b) => a - b);
  const at = (part: number) => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
    if (value === undefined) throw new Error('nothing was measured');
    return value;
  };
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
