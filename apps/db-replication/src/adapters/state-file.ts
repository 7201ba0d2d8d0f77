import { readFileSync } from 'node:fs';
import { isDiskFull, overwriteInPlace, writeFileAtomically } from '@understudy/platform';
import { z } from 'zod';

const StateSchema = z.object({
  runId: z.string(),
  /** What PostgreSQL shall do without further tasks; null: nobody has said in this run of the server. */
  desired: z.enum(['active', 'standby', 'stopped']).nullable(),
  /** Highest epoch of any task seen. */
  epoch: z.int(),
  /** Replication to the peer was retired: nobody may replicate until it is prepared again. */
  sourceRetired: z.boolean(),
  /** Since which decision commits of the active PostgreSQL wait for the peer (null: they do not), and by which that was said. */
  commits: z.object({ sequence: z.int(), waitSince: z.int().nullable() }).default({ sequence: 0, waitSince: null }),
});

/** What this service remembers over its own restarts. */
export type EngineState = z.infer<typeof StateSchema>;

/** Always the same length, so that it can be replaced where it lies. */
const BLOCK_BYTES = 4096;

/** `run/database-intent.json`: what PostgreSQL shall do, so that a restarted service goes on where the last one was. */
export class StateFile {
  private state: EngineState;
  /** As the file has it. */
  private written: EngineState | null;
  private tail: Promise<void> = Promise.resolve();

  /** The desired state of another run of the server does not count: it was booted, and somebody else may be active now. */
  constructor(
    private readonly file: string,
    runId: string,
  ) {
    const kept = this.read();
    this.written = kept;
    this.state = {
      runId,
      desired: kept?.runId === runId ? kept.desired : null,
      epoch: kept?.epoch ?? 0,
      sourceRetired: kept?.sourceRetired ?? false,
      // to wait is always safe: whoever decides says when it shall end
      commits: {
        sequence: kept?.runId === runId ? kept.commits.sequence : 0,
        waitSince: kept?.commits.waitSince ?? null,
      },
    };
  }

  get current(): Readonly<EngineState> {
    return this.state;
  }

  /**
   * In force at once, durable when it resolves. Works on a full disk too: then the file is overwritten where it lies, which needs no
   * room.
   */
  update(change: Partial<Omit<EngineState, 'runId'>>): Promise<void> {
    this.state = { ...this.state, ...change };
    this.tail = this.tail.catch(() => undefined).then(() => this.write());
    return this.tail;
  }

  private async write(): Promise<void> {
    const { state } = this;
    if (JSON.stringify(state) === JSON.stringify(this.written)) return;
    const content = JSON.stringify(state)
      .padEnd(BLOCK_BYTES - 1)
      .concat('\n');
    try {
      await writeFileAtomically(this.file, content, { mode: 0o600 });
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      await overwriteInPlace(this.file, content);
    }
    this.written = state;
  }

  private read(): EngineState | null {
    try {
      return StateSchema.parse(JSON.parse(readFileSync(this.file, 'utf8')));
    } catch {
      return null;
    }
  }
}
