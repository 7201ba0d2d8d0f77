/** A server's home role, fixed at installation. */
export type ServerRole = 'primary' | 'secondary';

/** The role of the peer of a server with that role. */
export function otherRole(role: ServerRole): ServerRole {
  return role === 'primary' ? 'secondary' : 'primary';
}

/** What a server does for the application at the moment. */
export type CurrentRole = 'active' | 'standby' | 'none';

/**
 * Who decides about a takeover: the operator, the secondary by itself, or the operator with the secondary saying what it would have
 * done. Spec: "Automatic Versus Manual Failover"; docs/decisions/0009-observe.md.
 */
export type FailoverType = 'manual' | 'automatic' | 'observe';

/**
 * Every HA state of the specification with the words shown to people, in the specification's order.
 * `health-monitor-available` is its start-up pseudo-state: seen in the event list only.
 */
export const HA_STATE_LABELS = {
  'ha-not-configured': 'HA Not Configured',
  'health-monitor-available': 'Health Monitor Available',
  'ha-initializing': 'HA Initializing',
  'primary-alone': 'Primary Alone',
  'primary-active': 'Primary Active',
  'primary-database-copy-failed': 'Primary Database Copy Failed',
  'primary-failover': 'Primary Failover',
  'primary-failback': 'Primary Failback',
  'primary-lost-secondary': 'Primary Lost Secondary',
  'primary-preparing-for-failback': 'Primary Preparing for Failback',
  'primary-syncing': 'Primary Syncing',
  'primary-uncertain': 'Primary Uncertain',
  'secondary-alone': 'Secondary Alone',
  'secondary-syncing': 'Secondary Syncing',
  'secondary-active': 'Secondary Active',
  'secondary-lost-primary': 'Secondary Lost Primary',
  'secondary-failover': 'Secondary Failover',
  'secondary-failback': 'Secondary Failback',
  'secondary-post-failback': 'Secondary Post Failback',
  'secondary-uncertain': 'Secondary Uncertain',
} as const;

/** Name of an HA state in code and on the wire. */
export type HaState = keyof typeof HA_STATE_LABELS;

/** All state names, in the specification's order. */
export const HA_STATES = Object.keys(HA_STATE_LABELS) as readonly HaState[];

/** States a server can be in for longer than its start-up, by home role. */
export const STATES_OF_ROLE: Readonly<Record<ServerRole, readonly HaState[]>> = {
  primary: HA_STATES.filter((state) => state.startsWith('primary-') || state.startsWith('ha-')),
  secondary: HA_STATES.filter((state) => state.startsWith('secondary-') || state.startsWith('ha-')),
};

/** Overall status of the configuration, as the specification names it. */
export const CONFIGURATION_MODES = ['HA Not Configured', 'HA Initializing', 'HA Enabled', 'HA Alone'] as const;

/** One of the four configuration modes. */
export type ConfigurationMode = (typeof CONFIGURATION_MODES)[number];

/**
 * The configuration mode as one server sees it. Spec: "Configuration Modes"; the swapped pair and the failback are
 * settled in docs/decisions/0001-state-names-and-modes.md.
 *
 * @param own this server's role and state
 * @param peerState the peer's state when it was heard recently, otherwise null
 */
export function configurationMode(
  own: { readonly role: ServerRole; readonly state: HaState },
  peerState: HaState | null,
): ConfigurationMode {
  if (own.state === 'ha-not-configured' || own.state === 'health-monitor-available') return 'HA Not Configured';
  if (own.state === 'ha-initializing') return 'HA Initializing';
  if (peerState === null) return 'HA Alone';
  const primary = own.role === 'primary' ? own.state : peerState;
  const secondary = own.role === 'primary' ? peerState : own.state;
  return ENABLED_PAIRS.has(`${primary}/${secondary}`) ? 'HA Enabled' : 'HA Alone';
}

const ENABLED_PAIRS: ReadonlySet<string> = new Set([
  'primary-active/secondary-syncing',
  'primary-syncing/secondary-active',
  'primary-failback/secondary-failback',
  'primary-failback/secondary-post-failback',
  'primary-active/secondary-post-failback',
]);
