import type { ServiceEnvironment } from '@understudy/platform';

/** The telemetry of a process. */
export interface Telemetry {
  /** Sends what is left, for a second at most. Never rejects. */
  close(): Promise<void>;
}

const NONE: Telemetry = { close: async () => undefined };

/**
 * Begins to send the spans of this process to `telemetry.otlpEndpoint`; without one it does nothing, and loads nothing. Never rejects, and
 * nothing ever waits for the receiver: what it does not take is kept up to a limit, and then lost.
 */
export async function startTelemetry(environment: ServiceEnvironment): Promise<Telemetry> {
  const { otlpEndpoint } = environment.configuration.telemetry;
  if (otlpEndpoint === undefined) return NONE;
  try {
    const { sendSpans } = await import('./send-spans.ts');
    return sendSpans(environment, otlpEndpoint);
  } catch (error) {
    environment.logger.warn('No traces are sent: telemetry could not be started', { error });
    return NONE;
  }
}
