import { HandOverFiles } from '@understudy/contracts';
import type { ProcessesPort } from '@understudy/ha-runtime';
import { type Bus, BusError } from '@understudy/messaging';

/** So long the switch waits for the peer to have the last files: the application stands still meanwhile. */
const LIMIT_MS = 5000;
const ANSWER_MARGIN_MS = 1000;

/**
 * The last changes of files go to the other server before the role does: after the application has stopped, before the database does.
 * What could not be sent is said, and the switch goes on: it will be kept aside when this server follows. The bus never makes it throw.
 */
export async function handOverFiles(bus: Bus, epoch: number, say: (message: string) => void): Promise<void> {
  try {
    const timeoutMs = LIMIT_MS + ANSWER_MARGIN_MS;
    const { missing } = await bus.request(HandOverFiles, { epoch, limitMs: LIMIT_MS }, { timeoutMs });
    for (const sentence of missing) say(sentence);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    say(`file-sync did not answer: ${error.message}`);
  }
}

/** The same processes; `stopped` is awaited after they have been stopped in an orderly way. */
export function stoppingWith(processes: ProcessesPort, stopped: () => Promise<void>): ProcessesPort {
  return {
    startAll: (epoch, signal) => processes.startAll(epoch, signal),
    killAll: () => processes.killAll(),
    stopAll: async () => {
      await processes.stopAll();
      await stopped();
    },
  };
}
