import type { ReplyEnvelope } from '@understudy/contracts';
import { z } from 'zod';
import { BusError } from './bus-error.ts';

const ReplyEnvelopeSchema = z.union([
  z.object({ ok: z.literal(true), data: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error: z.object({
      code: z.string(),
      message: z.string(),
      retryable: z.boolean(),
      fields: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
    }),
  }),
]);

/** Reads a message's data. Throws `BusError` `invalid-message` with the fields at fault. */
export function parseData<Schema extends z.ZodType>(schema: Schema, text: string, subject: string): z.output<Schema> {
  return parseValue(schema, parseJson(text, subject), subject);
}

/** Checks a value against a message's schema. Throws `BusError` `invalid-message` with the fields at fault. */
export function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  subject: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.slice(0, 20).map(({ path, message }) => ({
    pointer: path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    message,
  }));
  const summary = fields.map(({ pointer, message }) => `${pointer || '/'}: ${message}`).join('; ');
  throw new BusError('invalid-message', `${subject}: ${summary}`, false, fields);
}

/** Reads a reply: its data, or the `BusError` that the responder sent, thrown. */
export function parseReply<Schema extends z.ZodType>(schema: Schema, text: string, subject: string): z.output<Schema> {
  const envelope = parseValue(ReplyEnvelopeSchema, parseJson(text, subject), `reply to ${subject}`);
  if (envelope.ok) return parseValue(schema, envelope.data, `reply to ${subject}`);
  const { code, message, retryable, fields } = envelope.error;
  throw new BusError(code, message, retryable, fields);
}

/** A reply as it travels. */
export function encodeReply(envelope: ReplyEnvelope): string {
  return JSON.stringify(envelope);
}

function parseJson(text: string, subject: string): unknown {
  // A message without data is one with no fields.
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new BusError('invalid-message', `${subject}: not JSON`);
  }
}
