import { TraceFlags, trace } from '@opentelemetry/api';
import { isSecretName, REDACTED, redactText } from './redaction.ts';

/** How much a line matters; `debug` is left out unless asked for. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values beside the sentence. Secrets go in as `Secret`, which prints as [secret]; what gets in otherwise is taken out by `redaction.ts`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes what happened, one JSON object per line: time, level, service, message, the trace that it belongs to, and the fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same logger with fields that every line carries. */
  with(fields: LogFields): Logger;
}

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const LONGEST_LINE = 16_384;
/** Standard output may be a pipe that nobody reads: beyond this backlog, lines are lost rather than memory. */
const STDOUT_BACKLOG_BYTES = 1024 * 1024;

/** Logger that writes JSON lines to a sink, standard output unless told otherwise. */
export class JsonLogger implements Logger {
  constructor(
    private readonly service: string,
    private readonly options: { level?: LogLevel; fields?: LogFields; write?: (line: string) => void } = {},
  ) {}

  debug(message: string, fields?: LogFields): void {
    this.log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.log('error', message, fields);
  }

  with(fields: LogFields): Logger {
    return new JsonLogger(this.service, { ...this.options, fields: { ...this.options.fields, ...fields } });
  }

  private log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (ORDER[level] < ORDER[this.options.level ?? 'info']) return;
    const head = { time: new Date().toISOString(), level, service: this.service, message, ...placeInTrace() };
    let line = print({ ...head, ...this.options.fields, ...fields, ...head });
    if (line.length > LONGEST_LINE) line = print({ ...head, message: message.slice(0, 4096), truncated: line.length });
    if (this.options.write) this.options.write(line);
    else if (process.stdout.writableLength < STDOUT_BACKLOG_BYTES) process.stdout.write(`${line}\n`);
  }
}

/** Logger that says nothing; for tests. */
export const SILENT_LOGGER: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => SILENT_LOGGER,
};

/** Where in a trace the line is written; nothing outside of those that are kept. */
function placeInTrace(): { readonly trace_id?: string; readonly span_id?: string } {
  const place = trace.getActiveSpan()?.spanContext();
  if (place === undefined || (place.traceFlags & TraceFlags.SAMPLED) === 0) return {};
  return { trace_id: place.traceId, span_id: place.spanId };
}

function print(line: Record<string, unknown>): string {
  const seen = new WeakSet<object>();
  return JSON.stringify(line, (name, value: unknown) => {
    if (value !== null && value !== undefined && isSecretName(name)) return REDACTED;
    if (typeof value === 'string') return redactText(value);
    if (typeof value === 'bigint') return value.toString();
    if (value instanceof Error) return describeError(value);
    if (typeof value === 'object' && value !== null) {
      if (seen.has(value)) return '[seen above]';
      seen.add(value);
    }
    return value;
  });
}

function describeError(error: Error): Record<string, unknown> {
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause instanceof Error ? { cause: error.cause.message } : {};
  return { name: error.name, message: error.message, ...(code ? { code } : {}), ...cause, stack: error.stack };
}
