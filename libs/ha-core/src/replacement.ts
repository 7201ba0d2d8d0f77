import type { Server } from './server.ts';
import { HA_STATE_LABELS } from './states.ts';

/**
 * Why an active secondary does not take another primary in the place of its present one now: one sentence with the failing condition
 * and its value; null when it does. Spec: "How to Replace the Primary Server"; docs/decisions/0012-replaced-primary.md.
 *
 * @param isPinnedPrimary the present primary itself asks: it has nothing of the pair any more, or gave an earlier replacement up
 */
export function replacementRefusal({ record, link, peer }: Server, isPinnedPrimary: boolean): string | null {
  if (record.role !== 'secondary') return 'only possible on the secondary';
  if (record.pairId === null)
    return 'this server is not paired and serves nothing: register it without replacing a primary';
  if (record.state !== 'secondary-active' || record.hold === 0 || !record.opened)
    return `the secondary is ${HA_STATE_LABELS[record.state]}: a primary is replaced only while it is ${HA_STATE_LABELS['secondary-active']}`;
  if (record.operation !== null) return `the operation ${record.operation.kind} is running`;
  if (record.inFlight !== null) return 'a change is under way on the secondary';
  if (record.maintenance !== null) return `maintenance is under way: ${record.maintenance.reason}; end it first`;
  if (isPinnedPrimary || link === 'confirmed-lost') return null;
  if (link === 'unknown') return 'the present primary is still being looked for: try again in a moment';
  return link === 'up'
    ? `the present primary is reachable${peer === null ? '' : ` and ${HA_STATE_LABELS[peer.state]}`}: disconnect it first, for good`
    : 'the present primary misses its heartbeats, but that its URL does not answer either is not known: disconnect it for good, and try again in a moment';
}
