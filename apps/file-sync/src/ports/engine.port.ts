import type { FileDifferences } from '@understudy/contracts';
import type { Direction } from '../domain/direction.ts';

/** Something about files that an operator should read. */
export interface EngineIncident {
  readonly severity: 'info' | 'warning' | 'critical';
  /** Stable name, e.g. `file-set-aside`. */
  readonly code: string;
  readonly message: string;
}

/** What the service asks of the engine. */
export interface Engine {
  setDirection(direction: Direction): void;
  peerChanged(fileSet: string): void;
  /** The number of files that may go now; null: nothing waits; undefined: no such set. */
  confirmDeletion(fileSet: string): Promise<number | null | undefined>;
  /** Undefined: no such set. */
  differences(fileSet: string): Promise<FileDifferences | undefined>;
  /** What the peer has not got when the time is over, one sentence for each set. `without`: sets that it does not have, and that are not waited for. */
  handOver(epoch: number, limitMs: number, without: readonly string[]): Promise<string[]>;
}
