import { headers, type Msg, type PublishOptions } from '@nats-io/transport-node';
import type { MessageTrace } from '@understudy/contracts';
import { at, childSpan, inSpan, placeOf, SpanKind, traceparentOf, within } from '@understudy/telemetry';

const HEADER = 'traceparent';

/** Sends a message as its definition has it in a trace: `send` gets what goes out beside the payload. */
export function sent<T>(
  trace: MessageTrace,
  subject: string,
  send: (beside: Pick<PublishOptions, 'headers'>) => Promise<T>,
): Promise<T> {
  const start = { kind: SpanKind.CLIENT, attributes: attributesOf(subject) };
  return trace === 'span' ? inSpan(`request ${subject}`, start, () => send(beside(trace))) : send(beside(trace));
}

/** What goes out beside the payload of a message that is not waited for. */
export function beside(trace: MessageTrace): Pick<PublishOptions, 'headers'> {
  const traceparent = trace === 'none' ? undefined : traceparentOf();
  if (traceparent === undefined) return {};
  const carried = headers();
  carried.set(HEADER, traceparent);
  return { headers: carried };
}

/** Handles a message within the trace that it carries, and outside of every other. */
export function received<T>(trace: MessageTrace, message: Msg, handle: () => Promise<T>): Promise<T> {
  const { subject } = message;
  const place = placeOf(trace === 'none' ? undefined : message.headers?.get(HEADER) || undefined);
  return at(place, () => {
    if (trace !== 'span') return handle();
    const start = { kind: SpanKind.SERVER, attributes: attributesOf(subject) };
    return within(childSpan(`process ${subject}`, start), handle);
  });
}

function attributesOf(subject: string) {
  return { 'messaging.system': 'nats', 'messaging.destination.name': subject };
}
