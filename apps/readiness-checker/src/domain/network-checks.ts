import { check, failed, warning } from './check.ts';

/** Spec: "Check Readiness for HA Configuration". */
const INTERFACE_MEGABITS_MIN = 100;
/** Spec: "Network Throughput Restrictions on HA". */
const THROUGHPUT_MEGABITS_ADVISED = 500;

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
];
