import type { BusErrorBody } from '@understudy/contracts';
import { z } from 'zod';

/** One field of an invalid input: JSON pointer into the body (or `#query` name) and what is wrong with it. */
export interface FieldProblem {
  readonly pointer: string;
  readonly message: string;
}

/** Body of every error answer, `application/problem+json` (RFC 9457). `code` is the same word as on the bus. */
export const ProblemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof ProblemSchema>;

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Refused',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Not possible now',
  410: 'Expired',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Invalid input',
  429: 'Too many attempts',
  500: 'Internal error',
  501: 'Not yet available',
  503: 'Not available now',
};

/** Status of the answer for each code a service refuses with; what is not listed is an internal error. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'invalid-input': 422,
  'invalid-message': 422,
  'not-allowed': 409,
  'wrong-server': 409,
  'already-configured': 409,
  'not-configured': 409,
  'operation-running': 409,
  'data-loss-not-accepted': 409,
  'past-point-of-no-return': 409,
  'already-finished': 409,
  'stale-epoch': 409,
  'wrong-role': 409,
  'wrong-version': 409,
  'already-paired': 409,
  'not-replaceable': 409,
  'virtual-ip': 409,
  'same-name': 409,
  'untrusted-certificate': 409,
  'wrong-key': 403,
  expired: 410,
  'too-many-attempts': 429,
  'not-found': 404,
  'unknown-set': 404,
  'nothing-to-confirm': 409,
  'not-yet-available': 501,
  'no-key': 409,
  'not-ready': 503,
  'peer-unreachable': 503,
};

/** An error answer on its way to the client. `headers` go out with it. */
export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly options: { readonly errors?: readonly FieldProblem[]; readonly headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.name = 'ProblemError';
  }

  /** The body of the answer. */
  toBody(): Problem {
    return {
      type: `urn:understudy:problem:${this.code}`,
      title: TITLES[this.status] ?? 'Error',
      status: this.status,
      detail: this.message,
      code: this.code,
      ...(this.options.errors ? { errors: [...this.options.errors] } : {}),
    };
  }
}

/** What the client is told when a service refused, or did not answer. */
export function problemOfBusError(error: BusErrorBody): ProblemError {
  const status = STATUS_OF_CODE[error.code] ?? (error.retryable ? 503 : 500);
  const headers = status === 503 || status === 429 ? { 'retry-after': '1' } : undefined;
  return new ProblemError(status, error.code, error.message, {
    ...(error.fields ? { errors: error.fields } : {}),
    ...(headers ? { headers } : {}),
  });
}

/** A service of this server is silent: nothing that it has to say or do can be said or done. */
export function serviceSilent(service: string, reason: string): ProblemError {
  const detail = `The ${service} of this server does not answer (${reason}). It is restarted by itself; try again in a moment.`;
  return new ProblemError(503, 'unavailable', detail, { headers: { 'retry-after': '1' } });
}

/** Why a service is silent, for people: what the bus says names subjects. */
const SILENCES: Readonly<Record<string, string>> = {
  'deadline-exceeded': 'no answer in time',
  'no-responder': 'it is starting',
  'bus-disconnected': 'the bus of this server is starting',
  overloaded: 'too much is asked at once',
};

/** What the client is told of an error that a request to a service has ended with, whatever it is. */
export function problemOfRequest(service: string, error: unknown): ProblemError {
  const { code, message, retryable, fields } = error as Partial<BusErrorBody>;
  if (typeof code !== 'string') return serviceSilent(service, message ?? String(error));
  const silence = SILENCES[code];
  if (silence !== undefined) return serviceSilent(service, silence);
  return problemOfBusError({
    code,
    message: message ?? code,
    retryable: retryable ?? false,
    ...(fields ? { fields } : {}),
  });
}

/** Parses an input or throws a 422 that names every field at once; `root` goes before each pointer. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown, root = ''): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.flatMap((issue) => fieldProblems(issue, input, root));
  const names = errors.map(({ pointer, message }) => `${pointer === '' ? 'the body' : pointer} ${message}`);
  throw new ProblemError(422, 'invalid-input', `Invalid input: ${names.join('; ')}.`, { errors });
}

function fieldProblems(issue: z.core.$ZodIssue, input: unknown, root: string): FieldProblem[] {
  const pointer = `${root}${issue.path.map((part) => `/${escapePointer(String(part))}`).join('')}`;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: `${pointer}/${escapePointer(key)}`, message: 'is not a known field' }));
  }
  const expectation = issue.message.replace(/^Invalid (input|option)(: )?/, '');
  if (valueAt(input, issue.path) === undefined)
    return [{ pointer, message: issue.code === 'invalid_value' ? `is required: ${expectation}` : 'is required' }];
  if (expectation === issue.message) return [{ pointer, message: issue.message }];
  return [{ pointer, message: expectation === '' ? 'is not valid' : `is not valid: ${expectation}` }];
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], input);
}

/** Spec: RFC 6901. */
function escapePointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}
