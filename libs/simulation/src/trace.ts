import type { Decision, HaEvent } from '@understudy/ha-core';
import type { SimulatedPair } from './simulated-pair.ts';
import type { SimulatedServer } from './simulated-server.ts';

/** So many lines are kept unless all are. */
const KEPT = 60;

/** One thing that happened, and both servers afterwards. */
interface Line {
  readonly atMs: number;
  readonly where: string;
  readonly what: string;
  readonly primary: string;
  readonly secondary: string;
}

/** What has happened to a pair, the last of it or all. */
export class Trace {
  /** Nothing is forgotten. */
  isWhole = false;
  private readonly lines: Line[] = [];

  constructor(private readonly pair: SimulatedPair) {}

  /** A fault, an order, or how the run goes on. */
  note(where: string, what: string): void {
    this.add(where, what);
  }

  /** A rule that fired, or a request that was refused. */
  decided({ role }: SimulatedServer, { rule, refusal, effects }: Decision, { type }: HaEvent): void {
    const does = effects === null || effects.length === 0 ? '' : ` -> ${effects.map(({ kind }) => kind).join(', ')}`;
    this.add(role, rule === null ? `${type} refused: ${refusal}` : `${type}: ${rule.id} ${rule.says}${does}`);
  }

  /** A table for people. */
  toString(): string {
    const rows = [
      ['second', 'where', 'primary', 'secondary', 'what'],
      ...this.lines.map(({ atMs, where, what, primary, secondary }) => [
        (atMs / 1000).toFixed(3),
        where,
        primary,
        secondary,
        what,
      ]),
    ];
    const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
    return rows
      .map((row) =>
        row
          .map((cell, column) => (column === 0 ? cell.padStart(widths[0] ?? 0) : cell.padEnd(widths[column] ?? 0)))
          .join('  '),
      )
      .join('\n');
  }

  private add(where: string, what: string): void {
    const { clock, primary, secondary } = this.pair;
    this.lines.push({ atMs: clock.nowMs, where, what, primary: brief(primary), secondary: brief(secondary) });
    // at once for many lines, because each time costs as much
    if (!this.isWhole && this.lines.length > 2 * KEPT) this.lines.splice(0, this.lines.length - KEPT);
  }
}

/** State, epochs and database of a server: `primary-active e3 owns 3, read-write@120, app`. */
function brief(server: SimulatedServer): string {
  if (!server.up) return `down, ${server.database.mode}@${server.database.end}`;
  const { record, database, processesRunning, frozen, manager } = server;
  return [
    `${record.state} e${record.epoch}${record.hold === 0 ? '' : ` owns ${record.hold}`}`,
    `${database.mode}@${database.end}`,
    ...(processesRunning ? ['app'] : []),
    ...(frozen ? ['frozen'] : manager === null ? ['no manager'] : manager.life.isFrozen ? ['manager frozen'] : []),
    ...(server.isDiskStuck ? ['disk stuck'] : []),
  ].join(', ');
}
