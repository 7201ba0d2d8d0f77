import { EventLogged, type EventView, EventViewSchema } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { Clock, Logger, NodeStore } from '@understudy/platform';
import type { NewEvent } from '../domain/event-text.ts';

const KEPT_IN_MEMORY = 1000;
const KEPT_IN_STORE = 10_000;
const KEY = 'ha:events';

/**
 * This server's event list. The last thousand are in memory and every one goes to the node store and to the log; a store that is
 * away costs nothing now: what it missed is written when it is back.
 */
export class EventLog {
  private readonly events: EventView[] = [];
  private unsaved: EventView[] = [];
  private nextId = 1;
  private saving = false;

  constructor(
    private readonly server: string,
    private readonly bus: Bus,
    private readonly store: NodeStore,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Adds what is no decision. */
  note(
    { severity, code, message }: Pick<NewEvent, 'severity' | 'code' | 'message'>,
    epoch: number | null = null,
  ): void {
    this.add({ severity, code, message, state: null, previousState: null, rule: null, epoch });
  }

  /**
   * Loads what earlier runs left. Without it the list begins anew, with ids by the clock so that they still grow: whoever follows it asks
   * for those above the last that it has seen. `hasBegun`: this is not the first start of this server.
   */
  async load({ hasBegun }: { hasBegun: boolean }): Promise<void> {
    try {
      const lines = await this.store.client.lrange(KEY, 0, KEPT_IN_MEMORY - 1);
      const loaded = lines.map((line) => EventViewSchema.parse(JSON.parse(line))).reverse();
      this.events.push(...loaded);
      const last = loaded.at(-1)?.id ?? null;
      this.nextId = last !== null ? last + 1 : hasBegun ? this.idByClock() : 1;
    } catch (error) {
      this.nextId = this.idByClock();
      this.logger.warn('The event list of earlier runs could not be loaded', { error });
    }
  }

  /** Adds an event; never throws. */
  add(event: NewEvent): void {
    const entry: EventView = {
      id: this.nextId++,
      at: new Date(this.clock.unixMs()).toISOString(),
      server: this.server,
      ...event,
    };
    this.events.push(entry);
    if (this.events.length > KEPT_IN_MEMORY) this.events.shift();
    this.unsaved.push(entry);
    if (this.unsaved.length > KEPT_IN_MEMORY) this.unsaved.shift();
    this.logger[event.severity === 'info' ? 'info' : 'warn'](event.message, {
      event: entry.id,
      code: event.code,
      rule: event.rule,
      state: event.state,
      epoch: event.epoch,
    });
    this.bus.publish(EventLogged, entry);
    void this.save();
  }

  private idByClock(): number {
    return Math.floor(this.clock.unixMs() / 1000);
  }

  /** Newest first, with ids above `since`. */
  list(since: number | null, limit: number): EventView[] {
    return this.events
      .filter(({ id }) => since === null || id > since)
      .slice(-limit)
      .reverse();
  }

  /** Writes what the store has not got yet; called at every event and every second. */
  async save(): Promise<void> {
    if (this.saving || this.unsaved.length === 0) return;
    this.saving = true;
    const batch = this.unsaved;
    this.unsaved = [];
    try {
      await this.store.client.lpush(KEY, ...batch.map((event) => JSON.stringify(event)));
      await this.store.client.ltrim(KEY, 0, KEPT_IN_STORE - 1);
    } catch {
      this.unsaved = [...batch, ...this.unsaved].slice(-KEPT_IN_MEMORY);
    } finally {
      this.saving = false;
    }
  }
}
