/** What one look at an active PostgreSQL says about whether its commits wait for the peer. */
export interface CommitLook {
  /** `synchronous_standby_names` is set, as a fresh connection sees it. */
  readonly wait: boolean;
  /** Process id of the WAL sender that counts as synchronous; null: there is none. */
  readonly sender: number | null;
  /** How far WAL was written, and how far the peer has confirmed it on its disk. */
  readonly written: bigint | null;
  readonly confirmed: bigint | null;
  /** The checkpointer, by whose word commits begin to wait, waits for something to do and so has read the configuration. */
  readonly isCheckpointerIdle: boolean;
}

/** A signal is taken in within this time by a process that is idle. */
const SETTLED_MS = 500;

/**
 * Tells when commits wait for the peer without a gap: they have begun to, and the peer has since confirmed everything that was written
 * before. The setting alone proves nothing: the processes of PostgreSQL take it up one after the other.
 */
export class CommitConfirmation {
  private begun: { readonly since: number; readonly sender: number; readonly atMs: number } | null = null;
  /** What the peer has to confirm. */
  private writtenBefore: bigint | null = null;

  /**
   * Takes in a look at `atMs`, monotonic milliseconds; null: PostgreSQL did not answer. `since`: the decision by which commits wait, or
   * null. Returns that decision when it is in force without a gap, else null.
   */
  observe(since: number | null, look: CommitLook | null, atMs: number): number | null {
    if (since === null || look === null || !look.wait || look.sender === null) {
      this.begun = null;
      return null;
    }
    const { sender, written, confirmed } = look;
    if (this.begun?.since !== since || this.begun.sender !== sender) {
      this.begun = { since, sender, atMs };
      this.writtenBefore = null;
      return null;
    }
    if (this.writtenBefore === null) {
      if (look.isCheckpointerIdle && atMs - this.begun.atMs >= SETTLED_MS) this.writtenBefore = written;
      return null;
    }
    return confirmed !== null && confirmed >= this.writtenBefore ? since : null;
  }
}
