import type { BusErrorBody } from '@understudy/contracts';

/**
 * An expected failure of a request. Codes of the bus itself: `deadline-exceeded` (no answer in time), `no-responder` (nobody
 * listens), `bus-disconnected` (this server's own bus is away), `invalid-message` (refused by a schema), `overloaded` (too many at
 * once), `internal` (the responder's own fault); any other code is what the responder said.
 */
export class BusError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** Whether the same request may succeed later. */
    readonly retryable: boolean = false,
    /** Per-field problems of invalid input. */
    readonly fields?: BusErrorBody['fields'],
  ) {
    super(message);
    this.name = 'BusError';
  }

  /** As it travels. */
  toBody(): BusErrorBody {
    const { code, message, retryable, fields } = this;
    return { code, message, retryable, ...(fields ? { fields } : {}) };
  }
}

/** Puts whatever was thrown into the one form that travels; what is not expected becomes `internal`. */
export function toBusError(error: unknown): BusError {
  if (error instanceof BusError) return error;
  return new BusError('internal', error instanceof Error ? error.message : String(error));
}
