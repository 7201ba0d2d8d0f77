import type { TracingPort } from '@understudy/ha-runtime';
import type { Clock } from '@understudy/platform';
import type { Meter } from '@understudy/telemetry';

/** The same trace, and how long each effect took by how it has ended. */
export function measured(tracing: TracingPort, meter: Meter, clock: Clock): TracingPort {
  return {
    decision: (decision, cause, carryOut) => tracing.decision(decision, cause, carryOut),
    effect: (effect, taskId, perform) => {
      const beganAtMs = clock.nowMs();
      const note = (outcome: 'completed' | 'failed') =>
        meter.record('understudy.effect.duration', (clock.nowMs() - beganAtMs) / 1000, {
          effect: effect.kind,
          outcome,
        });
      const performed = tracing.effect(effect, taskId, perform);
      performed.then(
        () => note('completed'),
        () => note('failed'),
      );
      return performed;
    },
  };
}
