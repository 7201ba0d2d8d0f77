import { setTimeout as sleep } from 'node:timers/promises';
import type { OperationView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import { RefusedError, type RestClient } from './rest-client.ts';

const POLL_MS = 250;
/** A full copy over a slow link may take most of a day; the operation itself ends sooner when nothing moves. */
const WAIT_MS_MAX = 24 * 3_600_000;
/** The server's own services may be replaced meanwhile. */
const SILENCE_MS_MAX = 60_000;

/** Follows an operation to its end. `onProgress` is called for each change. Rejects when it failed, was cancelled, or cannot be seen any more. */
export async function waitForOperation(
  client: RestClient,
  operationId: string,
  onProgress: (operation: OperationView) => void,
): Promise<OperationView> {
  const began = performance.now();
  let heardAt = began;
  let seen = '';
  for (;;) {
    try {
      const operation = await client.get<OperationView>(`/operations/${encodeURIComponent(operationId)}`);
      heardAt = performance.now();
      const now = `${operation.state} ${operation.step} ${operation.progressPercent}`;
      if (now !== seen) onProgress(operation);
      seen = now;
      if (operation.state !== 'running') return ended(operation);
    } catch (error) {
      if (!isSilence(error) || performance.now() - heardAt > SILENCE_MS_MAX) throw error;
    }
    if (performance.now() - began > WAIT_MS_MAX) {
      throw new CliError(
        EXIT.refused,
        `Operation ${operationId} still runs after 24 hours; it is not waited for any longer.`,
      );
    }
    await sleep(POLL_MS);
  }
}

function ended(operation: OperationView): OperationView {
  if (operation.state === 'succeeded') return operation;
  const reason = operation.error ?? `it ended at "${operation.step}"`;
  throw new CliError(EXIT.refused, `${operation.kind} ${operation.state}: ${reason}`);
}

function isSilence(error: unknown): boolean {
  if (error instanceof RefusedError) return error.status === 503;
  return error instanceof CliError && error.exitCode === EXIT.unreachable;
}
