import type { ServerRecord } from '@understudy/ha-core';
import type { JournalPort } from '@understudy/ha-runtime';

/** Where decisions are kept before anything else happens. */
export interface DecisionJournal extends JournalPort {
  /** The newest whole record at opening, null when there is none. */
  readonly recovered: ServerRecord | null;
}
