import type { ProcessView, StatusView } from '@understudy/contracts';
import { inOneLine } from './output.ts';

/** The line of `ha status`. Without a peer or maintenance their brackets are left out. Spec: "Check HA Status and Overall Health". */
export function haStatusLine({ node, peer, state, failoverType, maintenance }: StatusView): string {
  const peerTitle = node.homeRole === 'primary' ? 'Secondary Server' : 'Primary Server';
  return [
    `[Role] ${capital(node.homeRole)}`,
    ...(peer ? [`[${peerTitle}] ${peer.name}(${peer.address})`] : []),
    `[State] ${state}`,
    `[Failover Type] ${capital(failoverType)}`,
    ...(maintenance ? [`[Maintenance] until ${maintenance.until}: ${inOneLine(maintenance.reason)}`] : []),
  ].join(' ');
}

/** The lines of `status`: Health Monitor, database, then one per process. */
export function statusLines({ node, state, database, processes }: StatusView): string[] {
  return [
    `Health Monitor Server is running. ( [Role] ${capital(node.homeRole)} [State] ${state} )`,
    databaseLine(database),
    ...processes.map(processLine),
  ];
}

function databaseLine({ running, usable }: StatusView['database']): string {
  if (!running) return 'Database server is not running';
  return usable ? 'Database server is running' : 'Database server is running but does not answer';
}

function processLine({ name, state, reason }: ProcessView): string {
  const because = reason === '' ? '' : `: ${reason}`;
  switch (state) {
    case 'running':
      return `${name} is running.`;
    case 'starting':
      return `${name} is starting.`;
    case 'disabled':
      return `${name} is disabled`;
    case 'failed':
      return `${name} is not running (failed${because}).`;
    case 'stopped':
      return `${name} is not running.`;
  }
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
