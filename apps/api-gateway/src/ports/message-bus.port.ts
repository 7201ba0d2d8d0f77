import type { EventDefinition, RequestDefinition } from '@understudy/contracts';
import type { Order } from '@understudy/messaging';
import type { z } from 'zod';

/**
 * What the gateway needs of the bus. A request rejects with an error that carries `code`, `message` and `retryable`. A command that
 * may have to be sent again is an `order`: it is carried out once.
 */
export abstract class MessageBus {
  abstract request<Data extends z.ZodType, Reply extends z.ZodType>(
    definition: RequestDefinition<Data, Reply>,
    data: z.input<Data>,
    options: { timeoutMs: number; order?: Order },
  ): Promise<z.output<Reply>>;

  /** Calls `onEvent` for every event until the bus is closed. */
  abstract onEvent<Data extends z.ZodType>(
    definition: EventDefinition<Data>,
    onEvent: (data: z.output<Data>) => void,
  ): void;
}
