import type { Host } from '../real-pair/host.ts';
import { siblingScript } from '../real-pair/node-scripts.ts';
import { type ClientProcess, endClient, startClient } from '../writer/client-process.ts';
import { type AcknowledgedWrite, parseWrite, type ServerName } from './acknowledged-write.ts';

/** Makes the table that observers write to. For the active server, once. */
export const CREATE_TABLE = `create table if not exists understudy_chaos(run text, sequence bigint,
  primary key(run, sequence))`;

/** Where an observer is and what it tries to write to. */
export interface ObserverPlace {
  readonly name: string;
  readonly host: Host;
  /** Addresses, in the order in which they are tried. */
  readonly targets: readonly string[];
  readonly pauseMs: number;
}

/** A process that tries to write from one host all the time. It dies with its host and is started again with it. */
export class Observer {
  readonly writes: AcknowledgedWrite[] = [];
  /** Rows that were sent and neither acknowledged nor refused. */
  unknown = 0;
  private readonly place: ObserverPlace;
  private readonly serverAt: (address: string) => ServerName;
  private child: ClientProcess | undefined;
  private runs = 0;

  constructor(place: ObserverPlace, serverAt: (address: string) => ServerName) {
    this.place = place;
    this.serverAt = serverAt;
  }

  /** Starts it where it does not run and its host does. Its rows go under a name of their own each time. */
  keepGoing(): void {
    const { name, host, targets, pauseMs } = this.place;
    if (this.child || !host.isPowered) return;
    this.runs += 1;
    const run = `${name}-${this.runs}`;
    const script = siblingScript(import.meta.url, 'observer-process');
    const words = { run, pauseMs, targets: targets.map((address) => `${address}:5432`) };
    const child = startClient(host, script, words, (line) => {
      const write = parseWrite(run, line, this.serverAt);
      if (write) this.writes.push(write);
      else if (line.startsWith('u ')) this.unknown += 1;
    });
    this.child = child;
    const ended = () => {
      if (this.child === child) this.child = undefined;
    };
    child.once('error', ended);
    child.once('close', ended);
  }

  /** Ends it. */
  async stop(): Promise<void> {
    if (this.child) await endClient(this.child);
  }
}
