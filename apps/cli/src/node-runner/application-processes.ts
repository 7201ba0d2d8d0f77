import { APPLICATION_MARK, allPids, environmentOf } from '@understudy/platform';

/** Every process that carries the mark of the application of the server with this data directory. */
export function applicationProcesses(dataDirectory: string): number[] {
  const mark = `${APPLICATION_MARK}=${dataDirectory}|`;
  return allPids().filter((pid) => environmentOf(pid).some((entry) => entry.startsWith(mark)));
}
