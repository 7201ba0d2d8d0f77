import { check, failed, warning } from './check.ts';
import { rounded } from './text.ts';

/** Spec: "Check Readiness for HA Configuration". */
const INTERFACE_MEGABITS_MIN = 100;
/** Spec: "Network Throughput Restrictions on HA". */
const THROUGHPUT_MEGABITS_ADVISED = 500;
const LATENCY_MS_MAX = 100;
const LATENCY_MS_ADVISED = 70;
/** Less than this in several seconds is no slow link but one that lets only small packets through. */
const STALLED_BYTES = 64 * 1024;

/** What is looked at on the way between the servers. */
export const NETWORK_CHECKS = [
  check({
    name: 'NETWORK - CHECK NETWORK INTERFACE BANDWIDTH',
    group: 'NETWORK',
    lists: ['registration', 'failover'],
    field: 'networkInterface',
    impact: 'The standby falls behind under load, and a full copy takes long.',
    recommendation:
      'Use a faster network interface for node.address, or see why it has agreed on so little with the switch.',
    show: ({ name, megabitsPerSecond }) =>
      `${name} ${megabitsPerSecond === null ? 'does not tell its speed' : `${megabitsPerSecond} Mbps`}`,
    silent: ({ name, megabitsPerSecond }) =>
      megabitsPerSecond === null ? `${name} does not tell its speed, as interfaces of virtual machines often do` : null,
    each: ({ name, megabitsPerSecond: speed }) => {
      if (speed === null) return null;
      if (speed < INTERFACE_MEGABITS_MIN)
        return failed(`${name} has ${speed} Mbps, ${INTERFACE_MEGABITS_MIN} are required`);
      return speed < THROUGHPUT_MEGABITS_ADVISED
        ? warning(`${name} has ${speed} Mbps, ${THROUGHPUT_MEGABITS_ADVISED} are recommended`)
        : null;
    },
  }),
  check({
    name: 'NETWORK - INTERFACE MTU',
    group: 'NETWORK',
    lists: ['further'],
    field: 'networkInterface',
    impact: 'Large packets may be lost on the way: connections open, and hang as soon as data flow.',
    recommendation: 'Set the same MTU on both interfaces and on everything between them.',
    show: ({ name, mtu }) => `${name} ${mtu} bytes`,
    both: (primary, secondary) =>
      primary.mtu === secondary.mtu
        ? null
        : warning(`the MTU is ${primary.mtu} bytes on the primary, ${secondary.mtu} on the secondary`),
  }),
  check({
    name: 'NETWORK - CHECK FIREWALL FOR DATABASE PORT ACCESSIBILITY',
    group: 'NETWORK',
    lists: ['registration'],
    field: 'peerDatabasePort',
    impact: 'The standby cannot follow, and no full copy can be made.',
    recommendation:
      'Open ports.database in the firewall of the server that is named, for the other one, or repeat with --fix.',
    show: ({ where, problem }) => `${where} ${problem === null ? 'answers' : 'does not answer'}`,
    each: ({ problem }) => (problem === null ? null : failed(problem)),
  }),
  check({
    name: 'NETWORK - PORTS OF THE PAIR',
    group: 'NETWORK',
    lists: ['further'],
    field: 'peerPorts',
    impact: 'The servers do not hear each other, or files and the database do not follow.',
    recommendation:
      'Open these ports in the firewall of the server that is named, for the other one, or repeat with --fix.',
    show: (ports) =>
      ports.map(({ port, problem }) => `${port} ${problem === null ? 'opens' : 'does not open'}`).join(', '),
    each: (ports) => {
      const closed = ports.flatMap(({ use, problem }) => (problem === null ? [] : [`${use}: ${problem}`]));
      return closed.length > 0 ? failed(closed.join(', ')) : null;
    },
  }),
  check({
    name: 'NETWORK - LATENCY',
    group: 'NETWORK',
    lists: ['further'],
    field: 'latency',
    impact: 'The standby lags behind, and a short delay more may look like a lost server.',
    recommendation: 'Take a shorter way between the servers.',
    show: ({ milliseconds }) => (milliseconds === null ? 'no connection' : `${rounded(milliseconds)} ms`),
    each: ({ milliseconds, problem }) => {
      if (milliseconds === null) return failed(problem ?? 'there is no connection');
      if (milliseconds > LATENCY_MS_MAX) return failed(`${rounded(milliseconds)} ms, ${LATENCY_MS_MAX} at most`);
      if (milliseconds > LATENCY_MS_ADVISED)
        return warning(`${rounded(milliseconds)} ms, less than ${LATENCY_MS_ADVISED} is recommended`);
      return problem === null ? null : warning(`some connections failed: ${problem}`);
    },
  }),
  check({
    name: 'NETWORK - THROUGHPUT',
    group: 'NETWORK',
    lists: ['further'],
    field: 'throughput',
    impact: 'The standby falls behind under load, and a full copy takes long.',
    recommendation: 'Use a faster way between the servers.',
    show: ({ megabitsPerSecond }) => `${rounded(megabitsPerSecond)} Mbps from the other server`,
    each: ({ megabitsPerSecond, bytes }) =>
      bytes >= STALLED_BYTES && megabitsPerSecond < THROUGHPUT_MEGABITS_ADVISED
        ? warning(`${rounded(megabitsPerSecond)} Mbps, ${THROUGHPUT_MEGABITS_ADVISED} are recommended`)
        : null,
    silent: ({ bytes }) => (bytes < STALLED_BYTES ? 'the transfer has stalled, see LARGE PACKETS' : null),
  }),
  check({
    name: 'NETWORK - LARGE PACKETS',
    group: 'NETWORK',
    lists: ['further'],
    field: 'throughput',
    impact: 'Connections open and hang as soon as data flow: neither replication nor a full copy works.',
    recommendation:
      'Let ICMP "fragmentation needed" through, or set the MTU of both servers to what the way between them carries.',
    show: ({ bytes }) => `${Math.round(bytes / 1024)} KiB came through`,
    each: ({ bytes }) =>
      bytes < STALLED_BYTES ? failed('small packets come through from the other server, large ones do not') : null,
  }),
  check({
    name: 'NETWORK - NAME RESOLUTION',
    group: 'NETWORK',
    lists: ['further'],
    field: 'names',
    impact: 'A server whose name cannot be looked up, or only slowly, is taken for a lost one.',
    recommendation: 'Use addresses for node.address, or mend DNS in both directions.',
    show: ({ shown }) => shown,
    each: ({ problems }) => (problems.length > 0 ? warning(problems.join(', ')) : null),
  }),
];
