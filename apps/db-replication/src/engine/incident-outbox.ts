import type { Incident } from '../ports/engine-events.ts';

const HELD_MAX = 100;

/** Keeps what there is to tell until somebody listens: this service is often up before the one that keeps the event list. */
export class IncidentOutbox {
  private held: Incident[] | null = [];

  constructor(private readonly publish: (incident: Incident) => void) {}

  tell(incident: Incident): void {
    if (this.held === null) this.publish(incident);
    else if (this.held.length < HELD_MAX) this.held.push(incident);
  }

  /** The health monitor is there: it gets what was held, and from now on everything at once. */
  open(): void {
    const { held } = this;
    this.held = null;
    for (const incident of held ?? []) this.publish(incident);
  }
}
