import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import type { EventDefinition, RequestDefinition } from '@understudy/contracts';
import { defaultIfEmpty, lastValueFrom } from 'rxjs';
import type { Bus, Unsubscribe } from './bus.ts';

/** Any message as the contracts define it. */
export type MessageDefinition = EventDefinition | RequestDefinition;

/**
 * Lets Nest controllers answer messages of the bus: `@EventPattern<string>(Message.subject)` for events, `@MessagePattern(Message.subject)`
 * for commands and queries, with `@Payload()` already checked. A pattern without a definition among `definitions` is refused at start.
 */
export class BusServer extends Server implements CustomTransportStrategy {
  readonly #subscriptions: Unsubscribe[] = [];

  constructor(
    private readonly bus: Bus,
    private readonly definitions: readonly MessageDefinition[],
  ) {
    super();
  }

  override listen(callback: (error?: unknown) => void): void {
    try {
      for (const [subject, handler] of this.getHandlers()) this.bind(subject, handler);
      callback();
    } catch (error) {
      this.close();
      callback(error);
    }
  }

  override close(): void {
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
  }

  override on(): never {
    throw new Error('The bus server emits no events');
  }

  override unwrap<T>(): T {
    return this.bus as T;
  }

  private bind(subject: string, handler: MessageHandler): void {
    const definition = this.definitions.find((candidate) => candidate.subject === subject);
    if (!definition) throw new Error(`No message is defined for the subject ${subject}`);
    const isEvent = definition.kind === 'event';
    if (isEvent !== (handler.isEventHandler ?? false)) {
      throw new Error(`${subject} is ${isEvent ? 'an event: use @EventPattern' : 'a request: use @MessagePattern'}`);
    }
    const call = async (data: unknown): Promise<unknown> => {
      const result = this.transformToObservable(await handler(data, { subject }));
      return lastValueFrom(result.pipe(defaultIfEmpty(undefined)));
    };
    this.#subscriptions.push(
      definition.kind === 'event'
        ? this.bus.subscribe(definition, async (data) => void (await call(data)))
        : this.bus.handle(definition, call),
    );
  }
}
