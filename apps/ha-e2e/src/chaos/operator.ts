import { until } from '../real-pair/deadline.ts';
import type { ServerName } from './acknowledged-write.ts';
import type { ChaosPair } from './chaos-pair.ts';
import type { OperatorAction } from './chaos-report.ts';
import { type OperatorStep, operatorSteps, restOf } from './rest.ts';

const STOP_MS = 60_000;
const ORDER_MS = 60_000;

/** Who brings a pair to rest that does not come to it by itself, with what the status offers. */
export class Operator {
  constructor(
    private readonly chaos: ChaosPair,
    private readonly restLimitMs: number,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Waits until the pair is at rest, and acts where it is not for half of the limit and something is offered.
   *
   * @param tell is told of each action
   */
  async bringToRest(
    tell: (action: Omit<OperatorAction, 'group'>) => void,
  ): Promise<{ readonly active: ServerName; readonly sinceMs: number } | { readonly reason: string }> {
    const halfMs = this.restLimitMs / 2;
    let rest = await this.chaos.comesToRest(halfMs, this.signal);
    if ('active' in rest || this.signal.aborted) return rest;
    if (operatorSteps(await this.chaos.status()).length === 0) rest = await this.chaos.comesToRest(halfMs, this.signal);
    const taken = new Set<string>();
    while (!('active' in rest) && !this.signal.aborted) {
      const status = await this.chaos.status();
      const step = operatorSteps(status).find(({ name }) => !taken.has(name));
      if (!step) return rest;
      taken.add(step.name);
      const seen = restOf(status, this.chaos.witness !== null);
      const outcome = await this.take(step).catch((error: Error) => error.message);
      tell({ name: step.name, situation: 'reason' in seen ? seen.reason : 'at rest', outcome });
      rest = await this.chaos.comesToRest(halfMs, this.signal);
    }
    return rest;
  }

  /** Gives the role back to the primary; what came of it in words. */
  async failback(): Promise<string> {
    return this.take({ name: 'failback', on: 'beta', request: { path: '/ha/failback', body: {} } }).catch(
      (error: Error) => error.message,
    );
  }

  private async take({ on, request }: OperatorStep): Promise<string> {
    const server = this.chaos.server(on);
    if (request === null) {
      // the init system starts it again
      const pid = server.runnerPid();
      if (pid !== null) process.kill(pid, 'SIGTERM');
      await until(`${on} restarts`, { withinMs: STOP_MS }, () => ![null, pid].includes(server.runnerPid()));
      return 'restarted';
    }
    const outcome = await server.ask('POST', request.path, request.body);
    if (!outcome.accepted) return `refused: ${outcome.detail}`;
    const operation = await server.ended(outcome.operationId, { withinMs: ORDER_MS });
    return `${operation.state}${operation.error ? `: ${operation.error}` : ''}`;
  }
}
