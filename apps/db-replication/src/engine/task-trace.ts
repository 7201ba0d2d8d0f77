import type { DatabaseTask } from '@understudy/contracts';
import { childSpan, noteFailure, placeAt, type Span, within } from '@understudy/telemetry';

/** A task in the trace of the effect that has asked for it, and its steps, each from its name to the next one's. */
export class TaskTrace {
  private readonly span: Span;
  private current: Span | null = null;

  constructor(kind: DatabaseTask['kind'], taskId: string) {
    this.span = childSpan(`database ${kind}`, { attributes: { 'understudy.task.id': taskId } });
  }

  /** Runs the task to its end. Passes on what it rejects with. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return within(this.span, async () => {
      try {
        return await work();
      } catch (error) {
        if (this.current !== null) noteFailure(this.current, error);
        throw error;
      } finally {
        this.current?.end();
      }
    });
  }

  /** Another step begins. */
  step(text: string): void {
    this.current?.end();
    this.current = childSpan(text, {}, placeAt(this.span));
  }
}
