import { connect } from 'node:net';
import { healthQueryOf, type ServiceName } from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import { Patience, type WatchTiming } from './patience.ts';
import type { SupervisedChild } from './supervised-child.ts';

/** For the services: their main thread may be busy for a while. */
export const SERVICE_TIMING: WatchTiming = { roundMs: 5000, missedLimit: 3, graceMs: 20_000 };
/** For the store: a slow disk holds it up, since every write is synced. */
export const STORE_TIMING: WatchTiming = { roundMs: 5000, missedLimit: 3, graceMs: 20_000 };
/** For the bus: it does nothing slow, and without it the server can neither beat nor decide. */
export const BUS_TIMING: WatchTiming = { roundMs: 2000, missedLimit: 3, graceMs: 5000 };

/** Something whose silence means that a child hangs. */
export interface Watched {
  readonly name: string;
  readonly child: SupervisedChild;
  readonly timing: WatchTiming;
  /** True: it answered within the limit; false: it did not; null: cannot be told now. */
  readonly ask: (limitMs: number) => Promise<boolean | null>;
}

/** Asks every part of the server regularly, and kills the one that has not answered several times in a row; it is started anew. */
export class Watchdog {
  private timers: NodeJS.Timeout[] = [];

  constructor(private readonly watched: readonly Watched[]) {}

  start(): void {
    this.timers = this.watched.map((part) => {
      const state = { patience: new Patience(part.timing), asking: false };
      return setInterval(() => void this.check(part, state), part.timing.roundMs);
    });
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
  }

  private async check(part: Watched, state: { readonly patience: Patience; asking: boolean }): Promise<void> {
    const { name, child, timing, ask } = part;
    const { pid } = child;
    if (state.asking || !state.patience.asks(pid, child.upMs)) return;
    state.asking = true;
    const answered = await ask(timing.roundMs * 0.9);
    state.asking = false;
    if (answered === null || child.pid !== pid || !state.patience.isOver(answered)) return;
    child.replace(`${name} has not answered ${timing.missedLimit} times in a row`, 'SIGKILL');
  }
}

/** Asks a service over the bus; nothing can be told while the bus itself is away. */
export function askService(bus: Bus, service: ServiceName): Watched['ask'] {
  const query = healthQueryOf(service);
  return async (limitMs) => {
    try {
      await bus.request(query, {}, { timeoutMs: limitMs });
      return true;
    } catch (error) {
      return error instanceof BusError && error.code === 'bus-disconnected' ? null : false;
    }
  };
}

/** Asks NATS: it greets whoever connects. */
export function askNats(host: string, port: number): Watched['ask'] {
  return (limitMs) => converse({ host, port, say: '', expect: 'INFO ', limitMs });
}

/** Asks Redis. */
export function askRedis(host: string, port: number, password: string): Watched['ask'] {
  return (limitMs) => converse({ host, port, say: `AUTH ${password}\r\nPING\r\n`, expect: '+PONG', limitMs });
}

function converse(talk: {
  host: string;
  port: number;
  say: string;
  expect: string;
  limitMs: number;
}): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: talk.host, port: talk.port });
    let heard = '';
    const finish = (answered: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answered);
    };
    const timer = setTimeout(() => finish(false), talk.limitMs);
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
    socket.on('connect', () => socket.write(talk.say));
    socket.on('data', (data) => {
      heard += data.toString('latin1');
      // Redis that still loads its file is alive.
      if (heard.includes(talk.expect) || heard.includes('-LOADING')) finish(true);
      else if (heard.length > 10_000) finish(false);
    });
  });
}
