import { z } from 'zod';

/** The services that own subjects, and the runner that starts them. */
export const SERVICE_NAMES = [
  'heartbeat',
  'health-monitor',
  'file-sync',
  'db-replication',
  'readiness-checker',
  'notifier',
  'patch-manager',
  'api-gateway',
] as const;

/** Name of a service: its token in subjects, its folder under apps/, its container. */
export type ServiceName = (typeof SERVICE_NAMES)[number];

/**
 * What a message leaves in a trace, where its sender is within one. `span`: its sending and its handling are parts of the trace; `pass`: it only
 * carries the trace on to what it causes; `none`: neither, as for whatever is sent all the time.
 */
export type MessageTrace = 'span' | 'pass' | 'none';

/** A past fact, announced to whoever listens. */
export interface EventDefinition<Data extends z.ZodType = z.ZodType> {
  readonly kind: 'event';
  readonly reach: 'local' | 'pair';
  /** The subject on this server's bus; for `pair` messages use `subjectOf`. */
  readonly subject: string;
  /** Subject of a message that crosses the pair link: `role` is the home role of the server spoken of or to. */
  readonly subjectOf: (role: 'primary' | 'secondary') => string;
  readonly data: Data;
  readonly trace: Exclude<MessageTrace, 'span'>;
}

/** A command (imperative) or query (noun) that is answered within a deadline. */
export interface RequestDefinition<Data extends z.ZodType = z.ZodType, Reply extends z.ZodType = z.ZodType> {
  readonly kind: 'command' | 'query';
  readonly reach: 'local' | 'pair';
  readonly subject: string;
  readonly subjectOf: (role: 'primary' | 'secondary') => string;
  readonly data: Data;
  readonly reply: Reply;
  readonly trace: MessageTrace;
}

interface Identity {
  readonly reach: 'local' | 'pair';
  readonly service: ServiceName;
  readonly name: string;
  readonly version?: number;
}

/** Declares an event once: subject, schema and type. */
export function defineEvent<Data extends z.ZodType>(
  identity: Identity & { data: Data; trace?: EventDefinition['trace'] },
): EventDefinition<Data> {
  const { reach, data, trace = 'none' } = identity;
  return { kind: 'event', reach, ...subjects('event', identity), data, trace };
}

/** Declares a command or query once: subject, schemas of what is asked and answered, and their types. */
export function defineRequest<Data extends z.ZodType, Reply extends z.ZodType>(
  identity: Identity & { kind: 'command' | 'query'; data: Data; reply: Reply; trace?: MessageTrace },
): RequestDefinition<Data, Reply> {
  const { kind, reach, data, reply, trace = 'span' } = identity;
  return { kind, reach, ...subjects(kind, identity), data, reply, trace };
}

function subjects(kind: string, { reach, service, name, version = 1 }: Identity) {
  const subjectOf = (role: 'primary' | 'secondary') =>
    reach === 'pair'
      ? `pair.v${version}.${kind}.${role}.${service}.${name}`
      : `local.v${version}.${kind}.${service}.${name}`;
  const subject = reach === 'pair' ? `pair.v${version}.${kind}.*.${service}.${name}` : subjectOf('primary');
  return { subject, subjectOf };
}

/** What travels back for every command and query. */
export type ReplyEnvelope<T = unknown> =
  | { readonly ok: true; readonly data: T }
  | { readonly ok: false; readonly error: BusErrorBody };

/** An expected failure as it travels on the bus. */
export interface BusErrorBody {
  /** From a closed union per message where the caller decides on it, e.g. `stale-epoch`. */
  readonly code: string;
  /** One sentence with values and units. */
  readonly message: string;
  readonly retryable: boolean;
  /** Per-field problems of invalid input: JSON pointer and message. */
  readonly fields?: readonly { readonly pointer: string; readonly message: string }[];
}
