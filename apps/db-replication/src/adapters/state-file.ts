import { readFileSync } from 'node:fs';
import { writeFileAtomically } from '@understudy/platform';
import { z } from 'zod';

const StateSchema = z.object({
  runId: z.string(),
  /** What PostgreSQL shall do without further tasks; null: nobody has said in this run of the server. */
  desired: z.enum(['active', 'standby', 'stopped']).nullable(),
  /** Highest epoch of any task seen. */
  epoch: z.int(),
  /** Replication to the peer was retired: nobody may replicate until it is prepared again. */
  sourceRetired: z.boolean(),
});

/** What this service remembers over its own restarts. */
export type EngineState = z.infer<typeof StateSchema>;

/** `run/database-intent.json`: what PostgreSQL shall do, so that a restarted service goes on where the last one was. */
export class StateFile {
  private state: EngineState;

  /** The desired state of another run of the server does not count: it was booted, and somebody else may be active now. */
  constructor(
    private readonly file: string,
    runId: string,
  ) {
    const kept = this.read();
    this.state = {
      runId,
      desired: kept?.runId === runId ? kept.desired : null,
      epoch: kept?.epoch ?? 0,
      sourceRetired: kept?.sourceRetired ?? false,
    };
  }

  get current(): Readonly<EngineState> {
    return this.state;
  }

  /** Durable when it returns. */
  async update(change: Partial<Omit<EngineState, 'runId'>>): Promise<void> {
    const next = { ...this.state, ...change };
    if (JSON.stringify(next) === JSON.stringify(this.state)) return;
    this.state = next;
    await writeFileAtomically(this.file, `${JSON.stringify(next)}\n`, { mode: 0o600 });
  }

  private read(): EngineState | null {
    try {
      return StateSchema.parse(JSON.parse(readFileSync(this.file, 'utf8')));
    } catch {
      return null;
    }
  }
}
