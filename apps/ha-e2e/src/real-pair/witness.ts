import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './deadline.ts';
import type { Host } from './host.ts';

const PORT = 4222;

/** The `witness` section of both servers' configuration: on the client's host, as a third place. */
export const WITNESS_SECTION = { kind: 'nats', servers: [`nats://10.77.0.13:${PORT}`], leaseSeconds: 3 } as const;

/** A NATS with JetStream, for the votes of the pair and nothing else. */
export class Witness {
  constructor(private readonly host: Host) {}

  /** Starts it where it does not run yet, with what it had stored. */
  async start(): Promise<void> {
    if (this.pids().length > 0) return;
    mkdirSync(this.storage, { recursive: true });
    const command = ['nats-server', '-js', '-sd', this.storage, '-a', this.host.address, '-p', String(PORT)];
    this.host.start(command, { log: 'witness.log' });
    await until('the witness runs', { withinMs: 10_000 }, () => this.pids().length > 0);
  }

  /** Kills it. */
  kill(): void {
    for (const pid of this.pids()) this.host.kill(pid);
  }

  /** It lives on and answers nothing. */
  freeze(): void {
    for (const pid of this.pids()) this.host.freeze(pid);
  }

  /** Ends a freeze. */
  thaw(): void {
    for (const pid of this.pids()) this.host.thaw(pid);
  }

  /** Removes what it has stored. */
  wipe(): void {
    rmSync(this.storage, { recursive: true, force: true });
  }

  private get storage(): string {
    return join(this.host.directory, 'witness');
  }

  private pids(): number[] {
    return this.host.processes().flatMap(({ pid, name }) => (name === 'nats-server' ? [pid] : []));
  }
}
