import { connectBus, createBusApplication, type RunningService } from '@understudy/messaging';
import type { ServiceEnvironment } from '@understudy/platform';
import { AppModule } from './app.module.ts';
import { ANSWERED } from './controllers/readiness-checker.controller.ts';

/** Starts this server's readiness-checker. It does nothing until it is asked, and nobody waits for it to decide. */
export async function startReadinessChecker(env: ServiceEnvironment): Promise<RunningService> {
  const bus = await connectBus(env);
  const application = await createBusApplication(AppModule.of(env, bus), {
    bus,
    definitions: ANSWERED,
    logger: env.logger,
  });
  return {
    close: async () => {
      await application.close();
      await bus.close();
    },
  };
}
