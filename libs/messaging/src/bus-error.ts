import type { BusErrorBody } from '@understudy/contracts';

/**
 * An expected failure of a request. Codes of the bus itself: `deadline-exceeded` (no answer in time), `no-responder` (nobody
 * listens), `bus-disconnected` (this server's own bus is away), `invalid-message` (refused by a schema), `overloaded` (too many at
 * once), `outcome-unknown` (a repeated order of which the responder cannot tell whether it was carried out), `internal` (the responder's
 * own fault); any other code is what the responder said.
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

/** What a request on the connection to NATS has failed with. */
export function toRequestError(error: unknown, subject: string, timeoutMs: number): BusError {
  if (error instanceof BusError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const causes = `${name} ${error instanceof Error && error.cause instanceof Error ? error.cause.name : ''}`;
  if (causes.includes('NoResponders') || message.includes('no responders')) {
    return new BusError('no-responder', `${subject}: nobody answers this`, true);
  }
  if (causes.includes('Timeout'))
    return new BusError('deadline-exceeded', `${subject}: no answer within ${timeoutMs} ms`, true);
  if (causes.includes('Connection') || causes.includes('InvalidOperation')) return disconnected(subject);
  return new BusError('internal', `${subject}: ${message}`);
}

/** The bus is away; what was sent over it may have arrived. */
export function disconnected(subject: string): BusError {
  return new BusError('bus-disconnected', `${subject}: this server's bus is away`, true);
}
