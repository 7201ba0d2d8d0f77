import { parentPort, workerData } from 'node:worker_threads';
import { FileSyncEngine } from './engine.ts';
import type { FromThread, ThreadStart, ToThread } from './thread-messages.ts';

const STATUS_MS = 1000;

/** The engine on a thread of its own: looking at many files holds up nobody else, where all services are one process too. */
async function run(port: NonNullable<typeof parentPort>): Promise<void> {
  const tell = (message: FromThread) => port.postMessage(message);
  const { settings } = workerData as ThreadStart;
  const engine = await FileSyncEngine.open(settings, {
    incident: (incident) => tell({ type: 'incident', incident }),
    changed: (fileSet) => tell({ type: 'changed', fileSet }),
    observed: () => tell({ type: 'status', status: engine.status() }),
  });
  const timer = setInterval(() => tell({ type: 'status', status: engine.status() }), STATUS_MS);
  const take = async (message: ToThread) => {
    if (message.type === 'direction') engine.setDirection(message.direction);
    if (message.type === 'peer') await engine.setPeer(message.peer, message.own);
    if (message.type === 'peer-changed') engine.peerChanged(message.fileSet);
    if (message.type === 'confirm-deletion')
      tell({ type: 'answer', id: message.id, answer: engine.confirmDeletion(message.fileSet) });
    if (message.type === 'differences')
      tell({ type: 'answer', id: message.id, answer: engine.differences(message.fileSet) });
    if (message.type === 'hand-over') {
      const { id, epoch, limitMs, without } = message;
      tell({ type: 'answer', id, answer: await engine.handOver(epoch, limitMs, without) });
    }
    if (message.type === 'close') {
      clearInterval(timer);
      await engine.close();
      tell({ type: 'closed' });
      port.close();
    }
  };
  port.on('message', (message: ToThread) => void take(message));
}

if (parentPort) await run(parentPort);
