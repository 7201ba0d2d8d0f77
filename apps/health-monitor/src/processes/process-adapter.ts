import type { ProcessView } from '@understudy/contracts';
import type { ProcessIdentity } from './process-table.ts';

/** One life of a process. */
export interface Run {
  /** Its leader; null: it was gone, or never there, before it could be looked at. */
  readonly identity: ProcessIdentity | null;
  /** On the monotonic clock. */
  readonly startedAtMs: number;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
}

/** The leader of the last life, as far as it is known. */
export interface KnownLeader {
  readonly identity: ProcessIdentity;
  /** It was alive under our eyes: what is left of its session is still its own. */
  readonly wasSeen: boolean;
}

/** How a process of the application is run: as a command, as a unit of systemd, as a container. When it is run, others decide. */
export interface ProcessAdapter {
  readonly kind: ProcessView['adapter'];
  /** Of all that it is started with: what was started otherwise than configured now is not adopted. */
  readonly digest: string;

  /** Starts it. Rejects with the reason when that is not possible, or when the signal is aborted meanwhile. */
  launch(signal: AbortSignal): Promise<Run>;

  /** Watches a life that another manager has begun. */
  ended(identity: ProcessIdentity, signal: AbortSignal): Promise<string>;

  /**
   * Ends it with everything it has started: asks, and kills after the grace time; none: kills at once. Resolves when nothing of it is
   * alive, also when nothing was; rejects when that cannot be had, or not be told.
   */
  end(graceMs: number, leader: KnownLeader | null): Promise<void>;

  /** Where somebody else might start it: sees to it that nobody does, and ends what runs. Resolves with what it has had to do. */
  keepStopped?(): Promise<readonly string[]>;

  /** Once in a while, as long as it runs. */
  tidy?(): void;
}
