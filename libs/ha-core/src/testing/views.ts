import type { DatabaseView, Settings } from '../server.ts';

/** Settings as they are by default, without a witness. */
export const SETTINGS: Settings = {
  maximumLagBytes: 16_777_216,
  minimumBetweenFailoversMs: 300_000,
  replication: 'async',
  wordLastsMs: 40_000,
  witness: null,
};

/** A database that runs, and neither streams nor is streamed from. */
export const RUNNING: DatabaseView = {
  running: true,
  usable: true,
  streaming: false,
  lsn: '0/5',
  lagBytes: null,
  restartsExhausted: false,
  commitsConfirmedSince: null,
};
