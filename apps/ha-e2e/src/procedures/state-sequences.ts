import type { HA_STATE_LABELS, HaState } from '@understudy/ha-core';

/** A state as people read it, e.g. "Primary Active". */
export type StateLabel = (typeof HA_STATE_LABELS)[HaState];

/** The states of one procedure of the specification: per server the sequences that conform, the usual one first. */
export interface StateSequences {
  /** Heading of the specification. */
  readonly spec: string;
  readonly primary: readonly (readonly StateLabel[])[];
  readonly secondary: readonly (readonly StateLabel[])[];
}

const FAILBACK = {
  primary: [['Primary Syncing', 'Primary Failback', 'Primary Active']],
  secondary: [['Secondary Active', 'Secondary Failback', 'Secondary Post Failback', 'Secondary Syncing']],
} as const;
const YIELDS_IN_PLACE = {
  primary: [['Primary Lost Secondary', 'Primary Failover', 'Primary Syncing']],
  secondary: [['Secondary Active']],
} as const;
const RESTARTED_AS_STANDBY = {
  primary: [['Primary Failover', 'Primary Preparing for Failback', 'Primary Syncing']],
  secondary: [['Secondary Active']],
} as const;
// Primary Alone comes before the specification's table begins.
const BOTH_WERE_DOWN = {
  primary: [['Primary Alone', 'Primary Lost Secondary', 'Primary Active']],
  secondary: [['Secondary Lost Primary', 'Secondary Syncing']],
} as const;
const REMOVED = {
  primary: [['Primary Active', 'HA Not Configured']],
  secondary: [['Secondary Syncing', 'HA Not Configured']],
} as const;
const REGISTERED_ANEW = {
  primary: [['Primary Active', 'HA Not Configured', 'HA Initializing', 'Primary Active']],
  secondary: [['Secondary Syncing', 'HA Not Configured', 'HA Initializing', 'Secondary Syncing']],
} as const;
const TAKEN_OVER = ['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Failover', 'Secondary Active'] as const;

/**
 * State sequences by the procedure's id, derived from the specification's transition tables; what a server goes through
 * while it is down is not part of them, nor is its start-up pseudo-state.
 */
export const STATE_SEQUENCES = {
  'REG-OK': {
    spec: 'How to Configure HA Between the Primary and Secondary Servers',
    primary: [['HA Not Configured', 'HA Initializing', 'Primary Active']],
    secondary: [['HA Not Configured', 'HA Initializing', 'Secondary Syncing']],
  },
  'REG-FAIL': {
    spec: 'HA Registration Fails',
    primary: [['HA Initializing', 'HA Not Configured']],
    secondary: [['HA Initializing', 'HA Not Configured']],
  },
  'FO-AUTO': { spec: 'Trigger Failover', primary: [], secondary: [TAKEN_OVER] },
  'FO-MAN': { spec: 'Trigger Failover', primary: [], secondary: [TAKEN_OVER] },
  'RET-1': {
    spec: 'How High Availability Works',
    primary: [['Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Active']],
  },
  'GAP-1': {
    spec: 'How High Availability Works',
    primary: [['Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Active']],
  },
  'GAP-2': {
    spec: 'HA States and Transitions: Primary Database Copy Failed',
    primary: [['Primary Preparing for Failback', 'Primary Database Copy Failed', 'Primary Syncing']],
    secondary: [['Secondary Active']],
  },
  'NDA-1': {
    spec: 'Network is Down (Automatic Failover)',
    primary: [['Primary Active', 'Primary Lost Secondary']],
    secondary: [TAKEN_OVER],
  },
  'NDA-2': { spec: 'Network is Down (Automatic Failover)', ...YIELDS_IN_PLACE },
  'NDA-3': { spec: 'Network is Down (Automatic Failover)', ...FAILBACK },
  'NDM-1': {
    spec: 'Network is Down (Manual Failover)',
    primary: [['Primary Active', 'Primary Lost Secondary']],
    secondary: [['Secondary Syncing', 'Secondary Lost Primary']],
  },
  'NDM-2': {
    spec: 'Network is Down (Manual Failover)',
    primary: [['Primary Lost Secondary', 'Primary Active']],
    secondary: [['Secondary Lost Primary', 'Secondary Syncing']],
  },
  'NDM-3': {
    spec: 'Network is Down (Manual Failover)',
    // The primary learns of it only when the link is back: then Primary Failover is the first step of NDM-4.
    primary: [['Primary Lost Secondary'], ['Primary Lost Secondary', 'Primary Failover']],
    secondary: [['Secondary Lost Primary', 'Secondary Failover', 'Secondary Active']],
  },
  'NDM-4': { spec: 'Network is Down (Manual Failover)', ...YIELDS_IN_PLACE },
  'NDM-5': { spec: 'Network is Down (Manual Failover)', ...FAILBACK },
  'PRA-1': {
    spec: 'Process Restart Fails (Automatic Failover)',
    primary: [['Primary Active', 'Primary Uncertain', 'Primary Failover']],
    secondary: [TAKEN_OVER],
  },
  'PRA-2': { spec: 'Process Restart Fails (Automatic Failover)', ...RESTARTED_AS_STANDBY },
  'PRA-3': { spec: 'Process Restart Fails (Automatic Failover)', ...FAILBACK },
  'PRM-1': {
    spec: 'Process Restart Fails (Manual Failover)',
    primary: [['Primary Active', 'Primary Uncertain']],
    secondary: [['Secondary Syncing', 'Secondary Lost Primary']],
  },
  'PRM-2': {
    spec: 'Process Restart Fails (Manual Failover)',
    primary: [['Primary Uncertain', 'Primary Failover']],
    secondary: [
      ['Secondary Lost Primary', 'Secondary Failover', 'Secondary Active'],
      ['Secondary Syncing', 'Secondary Failover', 'Secondary Active'],
    ],
  },
  'PRM-3': { spec: 'Process Restart Fails (Manual Failover)', ...RESTARTED_AS_STANDBY },
  'PRM-4': { spec: 'Process Restart Fails (Manual Failover)', ...FAILBACK },
  'PRS-1': {
    spec: 'Primary Server Restarts While the Secondary Server is Syncing',
    primary: [
      ['Primary Active', 'Primary Alone', 'Primary Active'],
      ['Primary Active', 'Primary Alone', 'Primary Lost Secondary', 'Primary Active'],
    ],
    secondary: [['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Syncing']],
  },
  'SAL-1': {
    spec: 'HA States and Transitions: Secondary Alone',
    primary: [['Primary Active', 'Primary Alone', 'Primary Active']],
    // With its consent the secondary waits for the primary again: docs/decisions/0003-consent.md.
    secondary: [
      ['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Alone', 'Secondary Lost Primary', 'Secondary Syncing'],
    ],
  },
  'SRS-1': {
    spec: 'Secondary Server Restarts While Syncing',
    primary: [['Primary Active', 'Primary Lost Secondary', 'Primary Active']],
    secondary: [['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Syncing']],
  },
  'SGD-1': {
    spec: 'Secondary Server Goes Down',
    primary: [['Primary Active', 'Primary Lost Secondary', 'Primary Active']],
    secondary: [['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Syncing']],
  },
  'SGD-2': {
    spec: 'Secondary Server Goes Down',
    primary: [['Primary Lost Secondary', 'HA Not Configured', 'HA Initializing', 'Primary Active']],
    secondary: [['Secondary Lost Primary', 'HA Not Configured', 'HA Initializing', 'Secondary Syncing']],
  },
  'SGD-3': {
    spec: 'Secondary Server Goes Down',
    primary: [['HA Initializing', 'HA Not Configured', 'HA Initializing', 'Primary Active']],
    secondary: [['HA Initializing', 'HA Not Configured', 'HA Initializing', 'Secondary Syncing']],
  },
  'BD-1': {
    spec: 'Both Servers are Down',
    ...BOTH_WERE_DOWN,
  },
  'BPD-1': { spec: 'Both Servers are Powered Down', ...BOTH_WERE_DOWN },
  'FF-1': {
    spec: 'Force Failover',
    primary: [['Primary Active', 'Primary Failover', 'Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Syncing', 'Secondary Failover', 'Secondary Active']],
  },
  'STOP-AUTO': {
    spec: 'How High Availability Works',
    primary: [],
    secondary: [['Secondary Syncing', 'Secondary Failover', 'Secondary Active']],
  },
  'RM-GUI': { spec: 'Remove HA Via the GUI', ...REMOVED },
  'RM-CLI': { spec: 'Remove HA Via the CLI', ...REMOVED },
  'RM-UPG': { spec: 'Remove HA During Upgrade', ...REGISTERED_ANEW },
  'RM-RST': { spec: 'Remove HA During Restore', ...REGISTERED_ANEW },
  'IPC-1': { spec: 'Reset the Server IP Address or Host Name', ...REGISTERED_ANEW },
  'DBS-1': { spec: 'How to Resolve Database Synchronization Issues', ...REGISTERED_ANEW },
  'BDX-1': {
    spec: 'Both Servers are Down and Secondary Server Will Not Restart',
    primary: [
      ['Primary Alone', 'HA Not Configured'],
      ['Primary Active', 'Primary Alone', 'HA Not Configured'],
    ],
    secondary: [],
  },
  // The copy is made while the secondary serves, before the failback: docs/decisions/0012-replaced-primary.md.
  'RP-1': {
    spec: 'How to Replace the Primary Server',
    primary: [['HA Not Configured', 'HA Initializing', 'Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Active']],
  },
  'FB-1': { spec: 'Trigger Failback', ...FAILBACK },
  'SB-1': { spec: 'How to Recover From Split-Brain Scenario', ...YIELDS_IN_PLACE },
  'SAD-1': {
    spec: 'Active secondary restarts while the primary is synced',
    primary: [['Primary Syncing', 'Primary Alone', 'Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Active', 'Secondary Failover', 'Secondary Active']],
  },
  'TKO-1': {
    spec: 'Active secondary gone for good: operator take-over by the synced primary',
    primary: [['Primary Syncing', 'Primary Alone', 'Primary Lost Secondary', 'Primary Active']],
    // After its start it looks for a later owner first: docs/decisions/0005-boot-of-the-active-secondary.md.
    secondary: [['Secondary Active', 'Secondary Failover', 'Secondary Lost Primary', 'Secondary Syncing']],
  },
  'SUN-1': {
    spec: 'HA States and Transitions: Secondary Uncertain',
    primary: [['Primary Active', 'Primary Lost Secondary', 'Primary Active']],
    secondary: [['Secondary Syncing', 'Secondary Uncertain', 'Secondary Lost Primary', 'Secondary Syncing']],
  },
  'SUN-2': {
    spec: 'HA States and Transitions: Secondary Uncertain',
    primary: [['Primary Syncing']],
    secondary: [['Secondary Active', 'Secondary Uncertain', 'Secondary Active']],
  },
  'FBX-1': {
    spec: 'Failback interrupted before the release point',
    primary: [['Primary Failback', 'Primary Alone', 'Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Failback', 'Secondary Active']],
  },
  'FBX-2': {
    spec: 'Failback interrupted after the release point, consent not yet given',
    primary: [['Primary Failback', 'Primary Alone', 'Primary Preparing for Failback', 'Primary Syncing']],
    secondary: [['Secondary Post Failback', 'Secondary Failover', 'Secondary Active']],
  },
  'FBX-3': {
    spec: 'Failback interrupted after consent was given',
    primary: [['Primary Failback', 'Primary Lost Secondary', 'Primary Active']],
    secondary: [['Secondary Post Failback', 'Secondary Lost Primary', 'Secondary Syncing']],
  },
} as const satisfies Readonly<Record<string, StateSequences>>;

/** Id of a procedure, e.g. 'NDA-1'. */
export type ProcedureId = keyof typeof STATE_SEQUENCES;
