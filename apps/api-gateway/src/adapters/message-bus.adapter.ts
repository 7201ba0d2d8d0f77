import type { EventDefinition, RequestDefinition } from '@understudy/contracts';
import type { Bus, Order } from '@understudy/messaging';
import type { z } from 'zod';
import { MessageBus } from '../ports/message-bus.port.ts';

/** This server's bus. */
export class MessageBusAdapter extends MessageBus {
  constructor(private readonly bus: Bus) {
    super();
  }

  request<Data extends z.ZodType, Reply extends z.ZodType>(
    definition: RequestDefinition<Data, Reply>,
    data: z.input<Data>,
    options: { timeoutMs: number; order?: Order },
  ): Promise<z.output<Reply>> {
    return this.bus.request(definition, data, options);
  }

  onEvent<Data extends z.ZodType>(definition: EventDefinition<Data>, onEvent: (data: z.output<Data>) => void): void {
    this.bus.subscribe(definition, onEvent);
  }
}
