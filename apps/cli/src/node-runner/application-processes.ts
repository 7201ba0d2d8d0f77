import {
  APPLICATION_MARK,
  allPids,
  bootId,
  environmentOf,
  isAlive,
  NodePaths,
  ProcessRecords,
} from '@understudy/platform';

/**
 * Every process of the application of the server with this data directory: what carries its mark, and what is known by its record only,
 * as the first process of a container, with which the kernel ends the rest of it.
 */
export function applicationProcesses(dataDirectory: string): number[] {
  const mark = `${APPLICATION_MARK}=${dataDirectory}|`;
  const marked = allPids().filter((pid) => environmentOf(pid).some((entry) => entry.startsWith(mark)));
  const recorded = new ProcessRecords(new NodePaths(dataDirectory).processes)
    .all()
    .filter((record) => record.bootId === bootId() && isAlive(record.pid, record.startTime))
    .map(({ pid }) => pid);
  return [...new Set([...marked, ...recorded])];
}
