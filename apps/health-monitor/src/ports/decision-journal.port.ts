import type { ServerRecord } from '@understudy/ha-core';
import type { RecoveredJournal } from '../domain/recollection.ts';

/** Where decisions are kept before anything else happens. */
export interface DecisionJournal {
  readonly recovered: RecoveredJournal;
  /** Sequence numbers go on after this one. */
  continueAfter(sequence: number): void;
  /** Resolves with the record's sequence number when it would survive a power loss. */
  write(record: ServerRecord): Promise<number>;
  /** Whether the next start will find what is written now. */
  isInPlace(): Promise<boolean>;
}
