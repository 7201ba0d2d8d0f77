import type { FileSetState } from '@understudy/contracts';

/** A message of the bus holds at most 1 MiB, and what both servers say goes into one: so much of it, as it travels, is for one's errors. */
const ERRORS_BYTES = 256 * 1024;
const REASON_MAX = 1000;

/** Sets as they fit into a message, whatever files are called and a peer says: of the errors that are too much only the number stays. */
export function fitting<Told extends Pick<FileSetState, 'reason' | 'errors'>>(sets: readonly Told[]): Told[] {
  let left = ERRORS_BYTES;
  const fits = (error: FileSetState['errors'][number]) => {
    left -= Buffer.byteLength(JSON.stringify(error));
    return left >= 0;
  };
  return sets.map((set) => ({ ...set, reason: set.reason.slice(0, REASON_MAX), errors: set.errors.filter(fits) }));
}
