import { Injectable } from '@nestjs/common';
import { EventLogged, type EventView } from '@understudy/contracts';
import { LIMITS } from '../config.ts';
import { ProblemError } from '../domain/problem.ts';
import { MessageBus } from '../ports/message-bus.port.ts';
import { HealthMonitorService } from './health-monitor.service.ts';

const CATCH_UP_MAX = 1_000;

/** Where a subscriber's events go. `send` false: it cannot take more and is to be dropped. */
export interface EventSink {
  send(event: EventView): boolean;
  beat(): boolean;
  close(): void;
}

interface Subscriber {
  readonly sink: EventSink;
  /** Id of the last event it was sent; null = it gets only what comes. */
  lastId: number | null;
  isCatchingUp: boolean;
  /** An event came while it was catching up: look once more. */
  isBehind: boolean;
}

/**
 * The event list as it grows, for any number of watchers. An event on the bus is only the hint that there is something new: a gap in
 * the ids is filled from the list, and so is what was missed while the bus was away.
 */
@Injectable()
export class EventFeedService {
  private readonly subscribers = new Set<Subscriber>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly bus: MessageBus,
    private readonly healthMonitor: HealthMonitorService,
  ) {}

  start(): void {
    this.bus.onEvent(EventLogged, (event) => {
      for (const subscriber of this.subscribers) this.deliver(subscriber, event);
    });
    this.timer = setInterval(() => this.beat(), LIMITS.streamBeatMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    for (const subscriber of [...this.subscribers]) this.drop(subscriber);
  }

  /** Sends what came after event `since` (null: only what comes), oldest first, and goes on. Returns how to end it. */
  async subscribe(since: number | null, sink: EventSink): Promise<() => void> {
    if (this.subscribers.size >= LIMITS.streamsMax) {
      throw new ProblemError(503, 'too-many-streams', `${LIMITS.streamsMax} event streams are open already.`);
    }
    const subscriber: Subscriber = { sink, lastId: since, isCatchingUp: true, isBehind: false };
    this.subscribers.add(subscriber);
    try {
      const { events } = await this.healthMonitor.events(since, since === null ? 1 : CATCH_UP_MAX);
      if (since === null) subscriber.lastId = events[0]?.id ?? 0;
      else this.sendAll(subscriber, events);
    } catch (error) {
      this.subscribers.delete(subscriber);
      throw error;
    } finally {
      subscriber.isCatchingUp = false;
    }
    if (subscriber.isBehind) void this.catchUp(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  private deliver(subscriber: Subscriber, event: EventView): void {
    const lastId = subscriber.lastId ?? 0;
    if (subscriber.isCatchingUp) {
      subscriber.isBehind = true;
    } else if (event.id === lastId + 1) {
      this.send(subscriber, event);
    } else if (event.id > lastId) {
      void this.catchUp(subscriber);
    } else if (event.id < lastId - CATCH_UP_MAX) {
      // The list was begun anew: follow the new numbers.
      this.send(subscriber, event);
    }
  }

  private async catchUp(subscriber: Subscriber): Promise<void> {
    if (subscriber.isCatchingUp) return;
    subscriber.isCatchingUp = true;
    try {
      do {
        subscriber.isBehind = false;
        const { events } = await this.healthMonitor.events(subscriber.lastId, CATCH_UP_MAX);
        this.sendAll(subscriber, events);
      } while (subscriber.isBehind && this.subscribers.has(subscriber));
    } catch {
      // The next event or beat tries again.
    } finally {
      subscriber.isCatchingUp = false;
    }
  }

  private sendAll(subscriber: Subscriber, newestFirst: readonly EventView[]): void {
    for (const event of [...newestFirst].sort((a, b) => a.id - b.id)) {
      if (subscriber.lastId !== null && event.id <= subscriber.lastId) continue;
      if (!this.send(subscriber, event)) return;
    }
  }

  private send(subscriber: Subscriber, event: EventView): boolean {
    subscriber.lastId = event.id;
    if (subscriber.sink.send(event)) return true;
    this.drop(subscriber);
    return false;
  }

  private beat(): void {
    for (const subscriber of this.subscribers) {
      if (!subscriber.sink.beat()) this.drop(subscriber);
      else void this.catchUp(subscriber);
    }
  }

  private drop(subscriber: Subscriber): void {
    this.subscribers.delete(subscriber);
    subscriber.sink.close();
  }
}
