import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, parseServingNote, servingNoteFile } from '@understudy/platform';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';

const LOOK_MS = 20;

/**
 * This server's right to serve, as its health monitor has noted it. What is open beyond it the runner closes; what is still closed waits
 * here until the health monitor has a right again, or asks for something else. Decision: docs/decisions/0011-witness.md.
 */
export class RightToServe {
  constructor(
    private readonly settings: Pick<EngineSettings, 'paths' | 'runId'>,
    private readonly clock: Clock,
  ) {}

  /** Resolves as long as no right has ended. Rejects with the reason of the context's signal. */
  async wait(context: TaskContext): Promise<void> {
    for (let isFirst = true; await this.hasEnded(); isFirst = false) {
      context.signal.throwIfAborted();
      if (isFirst) context.step('waiting for the right to serve');
      await delay(LOOK_MS);
    }
    context.signal.throwIfAborted();
  }

  /** Read without holding up this service: the disk may hang. */
  private async hasEnded(): Promise<boolean> {
    const { paths, runId } = this.settings;
    const note = await readFile(servingNoteFile(paths.run), 'utf8')
      .then((text) => parseServingNote(text, runId))
      .catch(() => null);
    return note !== null && note.untilMs !== null && this.clock.nowMs() > note.untilMs;
  }
}
