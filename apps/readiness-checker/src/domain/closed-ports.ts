import type { Side } from './check.ts';

/** The ports of a server that the other one does not reach, though, as far as is known, something listens there: its firewall may drop. */
export function closedPorts({ of, seenBy }: { of: Side; seenBy: Side }): number[] {
  if ('missing' in of || 'missing' in seenBy) return [];
  const { peerPorts } = seenBy.measurements;
  if (peerPorts === undefined || 'notMeasured' in peerPorts) return [];
  const { listener, database } = of.measurements;
  // a firewall may keep even the server itself from its own address
  const answers = listener !== undefined && 'value' in listener && listener.value.problem === null;
  const runs = database !== undefined && 'value' in database && database.value.running;
  return peerPorts.value
    .filter(({ use, problem }) => problem !== null && (use !== 'database' || answers || runs))
    .map(({ port }) => port);
}
