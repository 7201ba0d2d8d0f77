/** One server's engine in a process of its own, for the benchmark. */
import { readFileSync } from 'node:fs';
import type { Direction } from '../domain/direction.ts';
import { FileSyncEngine } from '../engine/engine.ts';
import type { FromSide, ToSide } from './side-messages.ts';

const SET = 'set';
const tell = (message: FromSide) => void process.send?.(message);

let engine: FileSyncEngine | undefined;
let direction: Direction | null = null;

/** The health monitor repeats itself too. */
setInterval(() => {
  if (direction !== null) engine?.setDirection(direction);
}, 500).unref();

async function take(message: ToSide): Promise<void> {
  if (message.type === 'open')
    engine = await FileSyncEngine.open(message.settings, {
      incident: ({ code, message: text }) => tell({ type: 'incident', text: `${code}: ${text}` }),
      changed: () => tell({ type: 'changed' }),
      observed: () => undefined,
    });
  if (message.type === 'peer') await engine?.setPeer(message.peer);
  if (message.type === 'direction') {
    direction = message.direction;
    engine?.setDirection(direction);
  }
  if (message.type === 'peer-changed') engine?.peerChanged(SET);
  if (message.type === 'fetch') await engine?.fetch(SET);
  if (message.type === 'close') await engine?.close();
  answer(message);
}

function answer({ id, type }: ToSide): void {
  const { user, system } = process.cpuUsage();
  // in hundredths of a second, behind the name, which may hold spaces
  const [children, childrenSystem] =
    readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ').slice(13, 15) ?? [];
  const memory = /^VmHWM:\s+(\d+) kB$[\s\S]*^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  tell({
    type: 'answer',
    id,
    view: engine?.status().fileSets[0] ?? null,
    cpuSeconds: (user + system) / 1e6 + (Number(children) + Number(childrenSystem)) / 100,
    peakMib: Number(memory?.[1]) / 1024,
    residentMib: Number(memory?.[2]) / 1024,
  });
  if (type === 'close') process.disconnect();
}

process.on('message', (message: ToSide) => void take(message));
process.on('disconnect', () => process.exit(0));
