import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import type { ServiceEnvironment } from '@understudy/platform';
import { AppModule } from './app.module.ts';
import { WORK } from './controllers/notifier.controller.ts';

/** Starts this server's notifier: it runs, answers its health, and says what it cannot do yet. */
export async function startNotifier(env: ServiceEnvironment): Promise<RunningService> {
  const bus = await connectBus(env);
  const application = await createBusApplication(AppModule, { bus, definitions: [WORK], logger: env.logger });
  return {
    close: async () => {
      await application.close();
      await bus.close();
    },
  };
}
