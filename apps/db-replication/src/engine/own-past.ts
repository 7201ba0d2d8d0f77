import { timelineOf, wasWriter } from '../domain/control-data.ts';
import type { OwnPast, PeerPast } from '../domain/rejoin-decision.ts';
import { forkOf } from '../domain/timeline-history.ts';
import type { TaskContext } from '../ports/task-context.ts';
import { type DataDirectory, startOfScan } from './data-directory.ts';

/**
 * What lies in the stopped data directory, as far as a decision about rejoining needs it. After a crash the end of the WAL is found
 * by reading it, and not by crash recovery, which would itself write behind it. Throws when the directory cannot be read.
 */
export async function readOwnPast(directory: DataDirectory, peer: PeerPast, context: TaskContext): Promise<OwnPast> {
  const control = await directory.control();
  const timeline = timelineOf(control);
  const branch = await directory.branch(timeline);
  const fork = forkOf(branch, peer.branch);
  const scan = async (from: bigint) => (await directory.scanWal(timeline, from, control, context)).end;
  const endOfWal = async () => {
    const orderly = await directory.endOfOrderlyWal(control);
    if (orderly !== null) return orderly;
    const start = startOfScan(control);
    if (fork?.timeline !== timeline || fork.lsn === null || fork.lsn <= start) return scan(start);
    // What lies behind the fork is all that matters, and mostly little.
    const diverged = await scan(fork.lsn);
    return diverged > fork.lsn ? diverged : scan(start);
  };
  const { isStandby } = await directory.shape();
  return {
    systemIdentifier: control.systemIdentifier,
    timeline,
    branch,
    endOfWal: await endOfWal(),
    wasWriter: wasWriter(control) && !isStandby && !(await directory.isUnstartedCopy()),
    canRewind: control.dataChecksums || control.walLogHints,
    redoLsn: control.redoLsn,
  };
}
