import type { EventView } from '@understudy/contracts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';

const LOOK_BACK = 200;

/**
 * Every event that a server told, kept outside it: ids begin anew where the node store was lost, so an event is known by its id and
 * its time.
 */
export class EventStory {
  readonly events: EventView[] = [];
  private readonly known = new Set<string>();

  constructor(private readonly server: UnderstudyServer) {}

  /** Takes over what is new. A server that does not answer tells later. */
  async refresh(): Promise<void> {
    if (!this.server.host.isPowered) return;
    const answer = await this.server
      .rest('GET', `/ha/events?limit=${LOOK_BACK}`, { timeoutMs: 3000 })
      .catch(() => undefined);
    const told = answer?.status === 200 ? (answer.json as { events: EventView[] }).events : [];
    for (const event of told.toReversed()) {
      const key = `${event.id} ${event.at}`;
      if (this.known.has(key)) continue;
      this.known.add(key);
      this.events.push(event);
    }
  }

  /** Whether an event has the text in its message. */
  names(text: string): boolean {
    return this.events.some(({ message }) => message.includes(text));
  }

  /** The newest events, one line each, oldest first. */
  lastLines(count: number): string[] {
    return this.events.slice(-count).map(({ id, at, code, message, previousState, state, rule }) => {
      const change = state === previousState ? '' : ` [${previousState} > ${state}]`;
      return `${id} ${at.slice(11, 23)} ${rule ?? '-'} ${code}${change} ${message}`;
    });
  }
}
