import type { FileSetView, FilesView, StatusView } from '@understudy/contracts';

/** All file sets together: the oldest of the last runs counts, so that one that stands still is seen. */
export function fileSyncView(files: FilesView | null): StatusView['fileSync'] {
  const sets = files?.fileSets ?? [];
  if (sets.length === 0) return { lastRunAt: null, pending: null, errors: null };
  const runs = sets.map(({ lastRunAt }) => lastRunAt);
  return {
    lastRunAt: runs.reduce((oldest, at) => (oldest === null || at === null ? null : at < oldest ? at : oldest)),
    pending: sets.reduce(
      (sum, { pendingFiles, awaitingDeletion }) => sum + pendingFiles + (awaitingDeletion?.deletions ?? 0),
      0,
    ),
    errors: sets.reduce((sum, set) => sum + Math.max(set.errorCount, isHeldUp(set) ? 1 : 0), 0),
  };
}

/** Nothing of the set is synchronised: it cannot be, or waits for an operator's word. */
function isHeldUp({ direction, reason, awaitingDeletion }: FileSetView): boolean {
  return direction !== 'unknown' && (reason !== '' || awaitingDeletion !== null);
}
