import type { FileDifferences } from '@understudy/contracts';
import type { Difference } from '../domain/difference.ts';
import { type RelativePath, shownPath } from '../domain/entry.ts';

/** Times are kept for so many paths, and so many are told. */
const REMEMBERED_MAX = 100_000;
const TOLD_MAX = 1000;

/** Remembers since when paths differ between the servers. */
export class SinceWhen {
  private since = new Map<RelativePath, string>();

  /** A run has found that just these differ. */
  note(paths: Iterable<RelativePath>, at: Date): void {
    const now = at.toISOString();
    const before = this.since;
    this.since = new Map();
    for (const path of paths) {
      if (this.since.size >= REMEMBERED_MAX) break;
      this.since.set(path, before.get(path) ?? now);
    }
  }

  /** What differs, for people; what no run has seen yet has no time. */
  told(differences: readonly Difference[], facts: Pick<FileDifferences, 'direction' | 'asOf'>): FileDifferences {
    return {
      ...facts,
      count: differences.length,
      differences: differences.slice(0, TOLD_MAX).map(({ path, what }) => ({
        path: shownPath(path),
        what,
        since: this.since.get(path) ?? null,
      })),
    };
  }
}
