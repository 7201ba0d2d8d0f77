import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { monotonicMs } from './deadline.ts';
import type { Host } from './host.ts';
import { ip } from './namespaces.ts';

/** Who has some addresses, as the kernels of the hosts tell every change: nothing of short life is missed between two looks. */
export class AddressWatch {
  /** One line for each time that two hosts had an address at once. */
  readonly overlaps: string[] = [];
  private readonly holders = new Map<string, Set<Host>>();
  private readonly children: ChildProcess[] = [];

  constructor(
    hosts: readonly Host[],
    private readonly addresses: readonly string[],
  ) {
    for (const address of addresses) this.holders.set(address, new Set());
    for (const host of hosts) this.follow(host);
  }

  /** Begins to listen to a host; again after it was switched on again. */
  follow(host: Host): void {
    const child = spawn('ip', ['-n', host.namespace, '-o', 'monitor', 'address'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.children.push(child);
    createInterface({ input: child.stdout }).on('line', (line) => this.hear(host, line));
    // whoever kills everything on a host kills this too
    child.once('exit', () => {
      for (const holders of this.holders.values()) holders.delete(host);
    });
    for (const line of ip(['-n', host.namespace, '-o', 'address', 'show']).split('\n')) this.hear(host, line);
  }

  /** Names of the hosts that have the address. */
  holdersOf(address: string): string[] {
    return [...(this.holders.get(address) ?? [])].map(({ name }) => name);
  }

  stop(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }

  private hear(host: Host, line: string): void {
    const address = this.addresses.find((candidate) => line.includes(` ${candidate}/`));
    const holders = address === undefined ? undefined : this.holders.get(address);
    if (holders === undefined) return;
    if (line.startsWith('Deleted')) holders.delete(host);
    else holders.add(host);
    if (holders.size > 1)
      this.overlaps.push(`${Math.round(monotonicMs())} ms: ${address} on ${this.holdersOf(address ?? '')}`);
  }
}
