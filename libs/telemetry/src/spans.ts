import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TimeInput,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { redactText } from '@understudy/platform';

export { type Attributes, type Context, type Span, SpanKind } from '@opentelemetry/api';

/** Marks a root span whose trace is kept whatever the share of routine traces that are: all that belongs to a switch. */
export const KEPT = 'understudy.kept';

/** What is known of a span at its beginning. */
export interface SpanStart {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** Unix time in milliseconds, where it began before this moment. */
  readonly startTime?: TimeInput;
  /** Other spans that it has to do with. */
  readonly links?: readonly Context[];
}

// Until telemetry is started, and in a server without it, this makes spans that record nothing.
const tracer = () => trace.getTracer('understudy');
const NOT_RECORDED = trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: TraceFlags.NONE });

/** The place in a trace at which the caller is. */
export function here(): Context {
  return context.active();
}

/** A place outside of every trace. */
export const NOWHERE: Context = ROOT_CONTEXT;

/** Whether two places belong to the same trace. */
export function areOfOneTrace(one: Context, other: Context): boolean {
  return trace.getSpanContext(one)?.traceId === trace.getSpanContext(other)?.traceId;
}

/** Whether a place belongs to a trace that is kept. */
export function isTraced(place: Context = context.active()): boolean {
  return ((trace.getSpanContext(place)?.traceFlags ?? 0) & TraceFlags.SAMPLED) !== 0;
}

/** A place as it travels between processes and servers (W3C `traceparent`); undefined when there is no trace that is kept. */
export function traceparentOf(place: Context = context.active()): string | undefined {
  const carrier: { traceparent?: string } = {};
  if (isTraced(place)) propagation.inject(place, carrier);
  return carrier.traceparent;
}

/** The place that a `traceparent` names; one outside of every trace when it is absent or nonsense. */
export function placeOf(traceparent: string | undefined): Context {
  return traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent });
}

/** Runs work at that place. */
export function at<T>(place: Context, work: () => T): T {
  return context.with(place, work);
}

/** Runs what outlives its cause outside of every trace: a loop, a timer. */
export function detached<T>(work: () => T): T {
  return context.with(ROOT_CONTEXT, work);
}

/** A span as a part of the trace at `place`; one that records nothing where no trace is kept. The caller ends it. */
export function childSpan(name: string, start: SpanStart = {}, place: Context = context.active()): Span {
  return isTraced(place) ? tracer().startSpan(name, options(start), place) : NOT_RECORDED;
}

/** A span that is kept: a part of the trace at `place` where that is kept, else the root of a trace of its own. The caller ends it. */
export function keptSpan(name: string, start: SpanStart = {}, place: Context = context.active()): Span {
  if (isTraced(place)) return tracer().startSpan(name, options(start), place);
  return tracer().startSpan(
    name,
    options({ ...start, attributes: { ...start.attributes, [KEPT]: true } }),
    ROOT_CONTEXT,
  );
}

/** A span of everyday work: a part of the trace at `place`, else a root that is kept or not as the share says. The caller ends it. */
export function routineSpan(name: string, start: SpanStart = {}, place: Context = context.active()): Span {
  return tracer().startSpan(name, options(start), place);
}

/** The place of a span in its trace. */
export function placeAt(span: Span): Context {
  return trace.setSpan(ROOT_CONTEXT, span);
}

/** Runs work within a part of the active trace, which ends with it; where no trace is kept it only runs it. Failures are noted. */
export function inSpan<T>(name: string, start: SpanStart, work: (span: Span) => Promise<T>): Promise<T> {
  return within(childSpan(name, start), work);
}

/** Runs work within a span and ends that with it. What the work rejects with is noted and passed on. */
export async function within<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  if (!span.isRecording()) return work(span);
  try {
    return await context.with(trace.setSpan(context.active(), span), () => work(span));
  } catch (error) {
    noteFailure(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Says in a span that its work has failed, by the code of the error where it has one. */
export function noteFailure(span: Span, error: unknown): void {
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  span.setAttribute('error.type', String(code ?? name ?? 'unknown'));
  span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(message ?? String(error)) });
}

function options({ kind = SpanKind.INTERNAL, attributes = {}, startTime, links = [] }: SpanStart) {
  return { kind, attributes, links: links.flatMap(linkTo), ...(startTime === undefined ? {} : { startTime }) };
}

function linkTo(place: Context): Link[] {
  const spanContext = trace.getSpanContext(place);
  return spanContext === undefined ? [] : [{ context: spanContext }];
}
