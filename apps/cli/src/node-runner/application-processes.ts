import {
  APPLICATION_MARK,
  allPids,
  bootId,
  environmentOf,
  isAlive,
  NodePaths,
  ProcessRecords,
  sessionOf,
} from '@understudy/platform';

/**
 * Every process of the application of the server with this data directory: what carries its mark, and what is known by its record, with
 * the session that it leads: some write over the environment that they were started with. With the first process of a container the kernel
 * ends the rest of it.
 */
export function applicationProcesses(dataDirectory: string): number[] {
  const mark = `${APPLICATION_MARK}=${dataDirectory}|`;
  const leaders = new Set(
    new ProcessRecords(new NodePaths(dataDirectory).processes)
      .all()
      .filter((record) => record.bootId === bootId() && isAlive(record.pid, record.startTime))
      .map(({ pid }) => pid),
  );
  return allPids().filter(
    (pid) =>
      leaders.has(pid) ||
      leaders.has(sessionOf(pid) ?? 0) ||
      environmentOf(pid).some((entry) => entry.startsWith(mark)),
  );
}
