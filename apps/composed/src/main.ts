import { startApiGateway } from '@understudy/api-gateway';
import { startDbReplication } from '@understudy/db-replication';
import { startFileSync } from '@understudy/file-sync';
import { startHealthMonitor } from '@understudy/health-monitor';
import { startHeartbeat } from '@understudy/heartbeat';
import { type RunningService, runProcess, type StartService, startService } from '@understudy/messaging';
import { startNotifier } from '@understudy/notifier';
import { startPatchManager } from '@understudy/patch-manager';
import { makeServiceEnvironment, type ServiceEnvironment } from '@understudy/platform';
import { startReadinessChecker } from '@understudy/readiness-checker';

/** In the order of stopping: nothing serves when its ground is taken away. What a takeover needs is started first. */
const SERVICES: readonly [string, StartService][] = [
  ['api-gateway', startApiGateway],
  ['health-monitor', startHealthMonitor],
  ['db-replication', startDbReplication],
  ['heartbeat', startHeartbeat],
  ['file-sync', startFileSync],
  ['readiness-checker', startReadinessChecker],
  ['notifier', startNotifier],
  ['patch-manager', startPatchManager],
];

/** All eight services in one process: the same code as in eight, for small servers, trials and tests. */
async function startAll(environment: ServiceEnvironment): Promise<RunningService> {
  const { configurationFile, runId, configuration } = environment;
  const level = process.env.UNDERSTUDY_LOG_LEVEL;
  const running = await Promise.all(
    SERVICES.map(([name, start]) =>
      startService(makeServiceEnvironment(name, { file: configurationFile, runId, configuration, level }), start),
    ),
  );
  return {
    close: async (options) => {
      for (const service of running) await service.close(options);
    },
  };
}

runProcess('composed', startAll);
