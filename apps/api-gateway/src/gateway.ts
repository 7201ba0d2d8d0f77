import { connectBus, type RunningService } from '@understudy/messaging';
import { NodeStore, readStoreCredentials, type ServiceEnvironment } from '@understudy/platform';
import { MessageBusAdapter } from './adapters/message-bus.adapter.ts';
import { listen } from './http-server.ts';

/** Starts the gateway: bus, node store (it serves without one too), HTTPS. */
export async function startApiGateway(environment: ServiceEnvironment): Promise<RunningService> {
  const bus = await connectBus(environment);
  let store: NodeStore | null = null;
  try {
    store = await NodeStore.open(readStoreCredentials(environment.paths), environment.logger);
  } catch (error) {
    environment.logger.warn('No node store: sessions are kept in memory only', { error });
  }
  try {
    const gateway = await listen(environment, { bus: new MessageBusAdapter(bus), store: () => store });
    return {
      close: async () => {
        await gateway.close();
        store?.close();
        await bus.close();
      },
    };
  } catch (error) {
    store?.close();
    await bus.close();
    throw error;
  }
}
