import type { EventView } from '@understudy/contracts';
import { HA_STATE_LABELS, type HaState } from '@understudy/ha-core';
import type { StateLabel } from '../procedures/state-sequences.ts';

/** Seen in the event list only, between a start of the health monitor and the state it takes up again. */
export const PSEUDO_STATE: StateLabel = 'Health Monitor Available';

/** A state and when it was entered (Unix time of that server, for people only). */
export interface StateEntry {
  readonly state: StateLabel;
  readonly at: string;
}

/** The states of one server in the order in which its event log tells them; nothing between two looks is missed. */
export class StateHistory {
  readonly events: EventView[] = [];
  private readonly entries: StateEntry[] = [];
  private markedIndex = 0;
  private cursor = 0;
  private newestId: number | null = null;

  /** Id of the newest event known, null before the first. */
  get lastEventId(): number | null {
    return this.newestId;
  }

  /** The server was installed anew: its events are counted from the beginning again. */
  beginsAnew(): void {
    this.newestId = null;
  }

  /** Takes events, oldest first. */
  add(events: readonly EventView[]): void {
    for (const event of events) {
      if (event.id <= (this.newestId ?? -1)) continue;
      this.newestId = event.id;
      this.events.push(event);
      const state = labelOf(event.state);
      if (state === undefined || state === PSEUDO_STATE) continue;
      if (state !== this.entries.at(-1)?.state) this.entries.push({ state, at: event.at });
    }
  }

  /** The newest state told. */
  get current(): StateLabel | undefined {
    return this.entries.at(-1)?.state;
  }

  /** From here on counts: the present state is the first of what sinceMark() returns. */
  mark(): void {
    this.markedIndex = Math.max(0, this.entries.length - 1);
    this.cursor = this.markedIndex;
  }

  /** The states since mark(), the one of that moment first. The start-up pseudo-state is not one. */
  sinceMark(): StateLabel[] {
    return this.entries.slice(this.markedIndex).map((entry) => entry.state);
  }

  /** Event log lines since the newest mark(), oldest first. */
  eventsSinceMark(): EventView[] {
    const since = this.entries[this.markedIndex]?.at ?? '';
    return this.events.filter((event) => event.at >= since);
  }

  /** Moves past the next entry into `state`; false when it was not entered since the last one moved past. */
  moveTo(state: StateLabel): boolean {
    const index = this.entries.findIndex((entry, at) => at > this.cursor && entry.state === state);
    if (index < 0) return false;
    this.cursor = index;
    return true;
  }
}

function labelOf(text: string | null): StateLabel | undefined {
  if (text === null) return undefined;
  return HA_STATE_LABELS[text as HaState] ?? (text as StateLabel);
}
