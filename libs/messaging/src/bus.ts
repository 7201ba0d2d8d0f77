import {
  connect,
  type Msg,
  type NatsConnection,
  type RequestOptions,
  type Subscription,
} from '@nats-io/transport-node';
import type { EventDefinition, RequestDefinition } from '@understudy/contracts';
import { type BusCredentials, type Logger, SystemClock } from '@understudy/platform';
import type { z } from 'zod';
import { BusError, disconnected, toBusError, toRequestError } from './bus-error.ts';
import { HealthReport } from './health-report.ts';
import { beside, received, sent } from './message-trace.ts';
import { OnceMemory, type Order, orderOf, withOrder } from './order.ts';
import { encodeReply, parseData, parseReply, parseValue } from './wire.ts';

type Role = 'primary' | 'secondary';

/** Most messages of one subscription being handled at once; more are refused, so that nothing piles up. */
const MAX_IN_FLIGHT = 256;
/** NATS itself refuses more than 1 MiB. */
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** What was refused since the start, by reason. */
export interface BusCounters {
  invalidMessages: number;
  failedHandlers: number;
  overloads: number;
  droppedEvents: number;
}

/** Ends a subscription. */
export type Unsubscribe = () => void;

/** Beside a message's data. */
export interface MessageContext {
  readonly subject: string;
}

/**
 * This server's message bus: typed events, and requests with deadlines. Delivery is at most once. While the bus is away nothing is
 * kept back: events are dropped and requests fail at once, and what was under way fails too.
 *
 * A `pair` message names a home role in its subject: the server spoken of (events) or to (requests). Left out, `publish` speaks of
 * this server, `subscribe` listens to the peer, `request` asks the peer, `handle` answers what is addressed to this server.
 */
export class Bus {
  readonly counters: BusCounters = { invalidMessages: 0, failedHandlers: 0, overloads: 0, droppedEvents: 0 };
  /** What this service answers to its health query, once `connectBus` has registered it. */
  readonly health = new HealthReport();
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #pending = new Set<(error: BusError) => void>();
  #connected = true;
  #closed = false;

  private constructor(
    private readonly nats: NatsConnection,
    private readonly ownRole: Role,
    private readonly logger: Logger,
  ) {
    void this.followStatus();
  }

  /**
   * Connects to this server's bus, waiting for it as long as it takes, and stays connected for ever after: attempts every 250 ms,
   * and a bus that does not answer pings for 6 s counts as lost.
   */
  static async connect(options: {
    credentials: BusCredentials;
    name: string;
    role: Role;
    logger: Logger;
  }): Promise<Bus> {
    const { url, user, password } = options.credentials;
    const nats = await connect({
      servers: url,
      user,
      pass: password.reveal(),
      name: options.name,
      waitOnFirstConnect: true,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectTimeWait: 250,
      reconnectJitter: 50,
      timeout: 2000,
      pingInterval: 2000,
      maxPingOut: 2,
      noAsyncTraces: true,
    });
    return new Bus(nats, options.role, options.logger);
  }

  /** Whether the bus is there, as far as is known: a loss without a closed connection is noticed within 6 s. */
  get connected(): boolean {
    return this.#connected && !this.#closed;
  }

  /** Tells of losses and returns of the bus; not of the present state. */
  onConnectionChange(listener: (connected: boolean) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Announces an event. False when it was dropped because the bus is away. Throws `BusError` `invalid-message` for wrong data. */
  publish<Data extends z.ZodType>(
    event: EventDefinition<Data>,
    data: z.input<Data>,
    options: { role?: Role } = {},
  ): boolean {
    const subject = event.subjectOf(options.role ?? this.ownRole);
    const payload = encode(event.data, data, subject);
    if (!this.connected) {
      this.counters.droppedEvents += 1;
      return false;
    }
    this.nats.publish(subject, payload, beside(event.trace));
    return true;
  }

  /**
   * Asks and waits for the answer, at most `timeoutMs`. With an `order` (local commands only) it may be asked again after
   * `bus-disconnected`. Throws `BusError`.
   */
  async request<Data extends z.ZodType, Reply extends z.ZodType>(
    request: RequestDefinition<Data, Reply>,
    data: z.input<Data>,
    options: { timeoutMs: number; role?: Role; order?: Order },
  ): Promise<z.output<Reply>> {
    const subject = request.subjectOf(options.role ?? otherRole(this.ownRole));
    const payload = encode(request.data, data, subject);
    if (!this.connected) throw disconnected(subject);
    return sent(request.trace, subject, async (beside) => {
      const message = await this.ask(subject, payload, {
        ...withOrder(beside, options.order),
        timeout: options.timeoutMs,
      });
      return parseReply(request.reply, message.string(), subject);
    });
  }

  /**
   * Listens to an event. Handlers are started in the order of arrival; what they throw is logged. Data that does not fit the schema
   * is dropped with a warning and counted.
   */
  subscribe<Data extends z.ZodType>(
    event: EventDefinition<Data>,
    handler: (data: z.output<Data>, context: MessageContext) => void | Promise<void>,
    options: { role?: Role } = {},
  ): Unsubscribe {
    const subject = event.subjectOf(options.role ?? otherRole(this.ownRole));
    return this.listen(subject, (message) =>
      received(event.trace, message, async () => {
        await handler(this.read(event.data, message), { subject: message.subject });
      }),
    );
  }

  /**
   * Answers a command or query. A thrown `BusError` goes to who asked; anything else is logged and answered as `internal`; a request
   * that does not fit the schema is answered as `invalid-message`, logged and counted. A command that is an `Order` is handled once.
   */
  handle<Data extends z.ZodType, Reply extends z.ZodType>(
    request: RequestDefinition<Data, Reply>,
    handler: (data: z.output<Data>, context: MessageContext) => z.input<Reply> | Promise<z.input<Reply>>,
    options: { role?: Role } = {},
  ): Unsubscribe {
    const subject = request.subjectOf(options.role ?? this.ownRole);
    const memory = new OnceMemory<z.input<Reply>>(new SystemClock());
    return this.listen(subject, (message) =>
      received(request.trace, message, async () => {
        const answer = async () => handler(this.read(request.data, message), { subject: message.subject });
        const order = request.kind === 'command' && request.reach === 'local' ? orderOf(message) : undefined;
        const data = await (order === undefined ? answer() : memory.answer(order, answer));
        this.respond(message, encodeReply({ ok: true, data }));
      }),
    );
  }

  /** Waits until what was sent has reached the bus; false when it did not within `timeoutMs`. */
  async flush(timeoutMs: number): Promise<boolean> {
    if (!this.connected) return false;
    const flushed = this.nats.flush().then(
      () => true,
      () => false,
    );
    return Promise.race([flushed, after(timeoutMs)]);
  }

  /** Ends the connection; what is under way fails with `bus-disconnected`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.flush(500);
    this.#closed = true;
    this.failPending();
    await this.nats.close().catch(() => undefined);
  }

  private async ask(subject: string, payload: string, options: RequestOptions): Promise<Msg> {
    const lost = Promise.withResolvers<never>();
    this.#pending.add(lost.reject);
    try {
      return await Promise.race([this.nats.request(subject, payload, options), lost.promise]);
    } catch (error) {
      throw toRequestError(error, subject, options.timeout);
    } finally {
      this.#pending.delete(lost.reject);
    }
  }

  private listen(subject: string, handle: (message: Msg) => Promise<void>): Unsubscribe {
    let inFlight = 0;
    const settle = async (message: Msg) => {
      inFlight += 1;
      try {
        if (inFlight > MAX_IN_FLIGHT) throw this.overloaded(subject);
        await handle(message);
      } catch (error) {
        this.failed(message, error);
      } finally {
        inFlight -= 1;
      }
    };
    const subscription: Subscription = this.nats.subscribe(subject, {
      callback: (error, message) => {
        if (error) this.logger.error('The bus refused a subscription', { subject, error: error.message });
        else void settle(message);
      },
    });
    return () => subscription.unsubscribe();
  }

  private read<Data extends z.ZodType>(schema: Data, message: Msg): z.output<Data> {
    try {
      return parseData(schema, message.string(), message.subject);
    } catch (error) {
      this.counters.invalidMessages += 1;
      this.logger.warn('A message was refused', { subject: message.subject, reason: toBusError(error).message });
      throw error;
    }
  }

  private overloaded(subject: string): BusError {
    this.counters.overloads += 1;
    if (this.counters.overloads === 1) this.logger.warn('Too many messages at once; some were refused', { subject });
    return new BusError('overloaded', `${subject}: more than ${MAX_IN_FLIGHT} messages at once`, true);
  }

  private failed(message: Msg, thrown: unknown): void {
    const error = toBusError(thrown);
    const { subject } = message;
    if (!(thrown instanceof BusError) || (!message.reply && error.code !== 'invalid-message')) {
      this.counters.failedHandlers += 1;
      this.logger.error('Handling a message failed', { subject, error: thrown });
    }
    this.respond(message, encodeReply({ ok: false, error: error.toBody() }));
  }

  private respond(message: Msg, payload: string): void {
    if (!message.reply || !this.connected) return;
    try {
      if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) throw new Error('the answer exceeds 1 MiB');
      message.respond(payload);
    } catch (error) {
      this.logger.error('An answer could not be sent', { subject: message.subject, error });
    }
  }

  private async followStatus(): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === 'disconnect') this.changed(false);
      else if (status.type === 'reconnect') this.changed(true);
      else if (status.type === 'error') this.logger.warn('The bus reported an error', { error: status.error.message });
    }
  }

  private changed(connected: boolean): void {
    if (this.#connected === connected || this.#closed) return;
    this.#connected = connected;
    this.logger.warn(connected ? 'The bus is back' : 'The bus is away');
    if (!connected) this.failPending();
    for (const listener of [...this.#listeners]) {
      try {
        listener(connected);
      } catch (error) {
        this.logger.error('A listener of the bus failed', { error });
      }
    }
  }

  private failPending(): void {
    for (const reject of [...this.#pending]) reject(disconnected('this request'));
  }
}

function encode(schema: z.ZodType, data: unknown, subject: string): string {
  const payload = JSON.stringify(parseValue(schema, data, subject));
  if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES)
    throw new BusError('invalid-message', `${subject}: exceeds 1 MiB`);
  return payload;
}

function otherRole(role: Role): Role {
  return role === 'primary' ? 'secondary' : 'primary';
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref());
}
