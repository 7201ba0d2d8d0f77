import { connect } from 'node:net';
import { healthQueryOf, type ServiceName } from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import type { SupervisedChild } from './supervised-child.ts';

const ROUND_MS = 5000;
const ANSWER_LIMIT_MS = 4000;
const MISSED_LIMIT = 3;
/** A process that was just started has not subscribed yet. */
const START_GRACE_MS = 20_000;

/** Something whose silence means that a child hangs. */
interface Watched {
  readonly name: string;
  readonly child: SupervisedChild;
  /** True: it answered; false: it did not; null: cannot be told now. */
  readonly ask: () => Promise<boolean | null>;
}

/** Asks every part of the server regularly, and replaces the one that has not answered three times in a row. */
export class Watchdog {
  private readonly missed = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly watched: readonly Watched[]) {}

  start(): void {
    this.timer = setInterval(() => void this.round(), ROUND_MS);
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
  }

  private async round(): Promise<void> {
    await Promise.all(this.watched.map((part) => this.check(part)));
  }

  private async check({ name, child, ask }: Watched): Promise<void> {
    if (child.upMs < START_GRACE_MS) {
      this.missed.delete(name);
      return;
    }
    const answered = await ask();
    if (answered === null) return;
    const missed = answered ? 0 : (this.missed.get(name) ?? 0) + 1;
    this.missed.set(name, missed);
    if (missed < MISSED_LIMIT) return;
    this.missed.delete(name);
    child.replace(`${name} has not answered ${MISSED_LIMIT} times in a row`, 'SIGKILL');
  }
}

/** Asks a service over the bus; nothing can be told while the bus itself is away. */
export function askService(bus: Bus, service: ServiceName): () => Promise<boolean | null> {
  const query = healthQueryOf(service);
  return async () => {
    try {
      await bus.request(query, {}, { timeoutMs: ANSWER_LIMIT_MS });
      return true;
    } catch (error) {
      return error instanceof BusError && error.code === 'bus-disconnected' ? null : false;
    }
  };
}

/** Asks Redis. */
export function askRedis(host: string, port: number, password: string): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      let text = '';
      const finish = (answered: boolean) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(answered);
      };
      const timer = setTimeout(() => finish(false), ANSWER_LIMIT_MS);
      socket.on('error', () => finish(false));
      socket.on('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`));
      socket.on('data', (data) => {
        text += data.toString('latin1');
        if (text.includes('+PONG')) finish(true);
        else if (text.length > 1000) finish(false);
      });
    });
}
