import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { searchPath } from '@understudy/platform';
import type { AddressHolder } from '../ports/address-holder.port.ts';
import { Announcer } from './announcement.ts';
import { isSameAddress, prefixOf } from './subnet.ts';

/** A command of iproute2 takes milliseconds; one that hangs must not hold up more than itself. */
const COMMAND_LIMIT_MS = 2000;
/** A neighbour's kernel answers within a millisecond. Every wait here is a time in which no client is served. */
const PROBE_WAIT_MS = 80;
/** Nobody needs to listen there: what counts is that the kernel has to find out who has the address. */
const DISCARD_PORT = 9;

/** A network interface of this machine, by iproute2 and the kernel. */
export class NetworkInterface implements AddressHolder {
  constructor(readonly name: string) {}

  get present(): readonly NetworkInterfaceInfo[] {
    return networkInterfaces()[this.name] ?? [];
  }

  has(address: string): boolean {
    return this.present.some((entry) => isSameAddress(entry.address, address));
  }

  async put(address: string, seconds: number): Promise<void> {
    // never preferred: connections that this server opens itself keep its own address. Duplicates were looked for already.
    const flags = isIP(address) === 6 ? ['nodad'] : [];
    const lifetime = ['valid_lft', String(seconds), 'preferred_lft', '0'];
    await run('ip', ['address', 'replace', prefixOf(address), 'dev', this.name, ...lifetime, ...flags]);
  }

  async remove(address: string): Promise<void> {
    // a reset needs the address to be sent from
    await this.endSessions(address);
    await run('ip', ['address', 'delete', prefixOf(address), 'dev', this.name]);
  }

  async neighbourWith(address: string, signal: AbortSignal): Promise<string | null> {
    const target = [address, 'dev', this.name];
    await run('ip', ['neighbour', 'delete', ...target]).catch(() => undefined);
    await this.ask(address);
    await delay(PROBE_WAIT_MS, undefined, { signal }).catch(() => undefined);
    return /lladdr (\S+)/.exec(await run('ip', ['neighbour', 'show', 'to', ...target]))?.[1] ?? null;
  }

  announcerOf(address: string, onFailure: (reason: string) => void): Announcer {
    return new Announcer(this.name, address, onFailure);
  }

  /** Best effort: a kernel without CONFIG_INET_DIAG_DESTROY leaves it to the new holder to reset them. */
  private async endSessions(address: string): Promise<void> {
    await run('ss', ['--kill', '--no-header', 'src', isIP(address) === 6 ? `[${address}]` : address]).catch(
      () => undefined,
    );
  }

  /** Has the kernel send an ARP request or a neighbour solicitation. */
  private ask(address: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
      const end = () => {
        socket.close();
        resolve();
      };
      socket.once('error', end);
      socket.send('', DISCARD_PORT, address, () => {
        socket.removeListener('error', end);
        end();
      });
    });
  }
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { timeout: COMMAND_LIMIT_MS, killSignal: 'SIGKILL', env: { ...process.env, PATH: searchPath(), LC_ALL: 'C' } },
      (error, output, complaint) => {
        if (error === null) resolve(output);
        else reject(new Error(`${program}: ${complaint.trim().split('\n')[0] || error.message}`));
      },
    );
  });
}
