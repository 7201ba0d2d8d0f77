import type { DATABASE_TASK_ERRORS } from '@understudy/contracts';

/** Code of a failed task. */
export type TaskErrorCode = (typeof DATABASE_TASK_ERRORS)[number];

/** An expected failure of a task: a code callers decide on and one sentence with values for people. */
export class TaskFailure extends Error {
  constructor(
    readonly code: TaskErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'TaskFailure';
  }
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
