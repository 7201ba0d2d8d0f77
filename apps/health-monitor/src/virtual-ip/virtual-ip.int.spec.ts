import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { SystemClock } from '@understudy/platform';
import { NetworkInterface } from './network-interface.adapter.ts';
import { listOf } from './subnet.ts';
import { KERNEL_LATE_MS, VirtualIp } from './virtual-ip.ts';
import { VirtualIpRequirements } from './virtual-ip-requirements.ts';

const TAG = `uv${process.pid.toString(36)}`;
const ADDRESSES = { ipv4: '198.18.77.100', ipv6: 'fd77:198:18::100' };
const OF_HOST = ['198.18.77.1/24', 'fd77:198:18::1/64'];
const OTHERS = ['198.18.77.3/24', 'fd77:198:18::3/64'];
const OF_NEIGHBOUR = ['198.18.77.2/24', 'fd77:198:18::2/64'];
/** The kernel drops addresses under the lock that the end of a network namespace takes too: the tests before this one have many. */
const NAMESPACES_GO_MS = 2000;
/** So long a busy machine may hold everything up. */
const STANDSTILL_MS = 2000;
/** Of so many lifetimes one at least ends while nothing else has that lock. */
const LIFETIMES = 5;
const clock = new SystemClock();

const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const onNeighbour = (...args: string[]) => ip('-n', TAG, ...args);
const isPossible = process.platform === 'linux' && process.getuid?.() === 0 && canMakeNamespaces();

function canMakeNamespaces(): boolean {
  try {
    ip('netns', 'add', TAG);
    ip('netns', 'delete', TAG);
    return true;
  } catch {
    return false;
  }
}

/** A cable to a neighbour in a network namespace of its own, both with an address of each family. */
(isPossible ? describe : describe.skip)('a virtual IP on a real interface (needs root and network namespaces)', () => {
  const holder = new NetworkInterface(TAG);
  const directory = mkdtempSync(join(tmpdir(), 'virtual-ip-'));
  let told: string[] = [];
  let mayServeUntilMs = Number.POSITIVE_INFINITY;
  let virtualIps: VirtualIp[] = [];
  let wakeful: ChildProcess[] = [];

  beforeAll(() => {
    // the timer by which the kernel looks at lifetimes does not wake an idle processor: here none sleeps for long
    const loop = 'while sleep 0.05; do :; done';
    wakeful = cpus().map((_, cpu) => spawn('taskset', ['-c', `${cpu}`, 'sh', '-c', loop], { stdio: 'ignore' }));
    ip('netns', 'add', TAG);
    ip('link', 'add', TAG, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', TAG);
    for (const address of OF_HOST) ip('address', 'add', address, 'dev', TAG, ...nodad(address));
    for (const address of OF_NEIGHBOUR) onNeighbour('address', 'add', address, 'dev', 'eth0', ...nodad(address));
    onNeighbour('link', 'set', 'eth0', 'up');
    ip('link', 'set', TAG, 'up');
  });
  afterAll(() => {
    for (const loop of wakeful) loop.kill();
    ip('netns', 'delete', TAG);
    rmSync(directory, { recursive: true });
  });
  afterEach(async () => {
    for (const virtualIp of virtualIps) {
      virtualIp.stop();
      await virtualIp.release();
    }
    for (const address of listOf(ADDRESSES)) {
      try {
        onNeighbour('address', 'delete', `${address}/${length(address)}`, 'dev', 'eth0');
      } catch {
        // only the tests of a conflict have put it there
      }
    }
    virtualIps = [];
    told = [];
    mayServeUntilMs = Number.POSITIVE_INFINITY;
  });

  const nodad = (address: string) => (address.includes(':') ? ['nodad'] : []);
  const length = (address: string) => (address.includes(':') ? 128 : 32);
  const held = () => listOf(ADDRESSES).filter((address) => holder.has(address));

  function virtualIpOf(lifetimeSeconds = 3): VirtualIp {
    const virtualIp = new VirtualIp(holder, {
      addresses: () => ADDRESSES,
      mayServeUntilMs: () => mayServeUntilMs,
      tell: (severity, code) => told.push(`${severity} ${code}`),
      clock,
      lifetimeSeconds,
    });
    virtualIps.push(virtualIp);
    return virtualIp;
  }

  /** A directory whose `ip` begins late with what the real one does, as on a busy machine. */
  function lateIp(seconds: number): string {
    const real = execFileSync('sh', ['-c', 'command -v ip'], { encoding: 'utf8' }).trim();
    writeFileSync(join(directory, 'ip'), `#!/bin/sh\nsleep ${seconds}\nexec ${real} "$@"\n`, { mode: 0o755 });
    return directory;
  }

  async function until(what: string, withinMs: number, holds: () => boolean): Promise<void> {
    const endMs = clock.nowMs() + withinMs + STANDSTILL_MS;
    for (let lookedAtMs = clock.nowMs(); !holds(); lookedAtMs = clock.nowMs()) {
      if (lookedAtMs > endMs) throw new Error(`${what}: not within ${withinMs} ms`);
      await delay(20);
    }
  }

  /** What the neighbour's kernel believes to be the address's hardware address. */
  const knownToNeighbour = (address: string) =>
    /lladdr (\S+)/.exec(onNeighbour('neighbour', 'show', 'to', address, 'dev', 'eth0'))?.[1];

  const takesAsNeighbour = (address: string) =>
    onNeighbour('address', 'add', `${address}/${length(address)}`, 'dev', 'eth0', ...nodad(address));

  it('is held when it is claimed, for clients only, and is gone when it is released', async () => {
    const virtualIp = virtualIpOf();
    virtualIp.start('closed');
    expect(virtualIp.view()).toEqual({ ...ADDRESSES, held: false });
    await virtualIp.claim(1);
    expect(held()).toEqual(listOf(ADDRESSES));
    expect(virtualIp.view()).toEqual({ ...ADDRESSES, held: true });
    // connections that the server opens itself keep its own address
    expect(ip('route', 'get', '198.18.77.2')).toContain('src 198.18.77.1 ');
    expect(ip('-6', 'route', 'get', 'fd77:198:18::2')).toContain('src fd77:198:18::1 ');
    await virtualIp.release();
    expect(held()).toEqual([]);
    expect(told).toEqual([
      'info virtual-ip-claimed',
      'info virtual-ip-claimed',
      'info virtual-ip-released',
      'info virtual-ip-released',
    ]);
  });

  it('is announced: a neighbour that believed another to have it sends here at once', async () => {
    const wrong = '02:00:00:00:00:99';
    for (const address of listOf(ADDRESSES))
      onNeighbour('neighbour', 'replace', address, 'lladdr', wrong, 'dev', 'eth0', 'nud', 'stale');
    const mac = networkInterfaces()[TAG]?.[0]?.mac;
    await virtualIpOf().claim(1);
    for (const address of listOf(ADDRESSES))
      await until(`${address} is known`, 3000, () => knownToNeighbour(address) === mac);
  });

  it('outlives its manager by its lifetime only, and as long as it is renewed', async () => {
    const virtualIp = virtualIpOf(4);
    await virtualIp.claim(1);
    virtualIp.start('open');
    await delay(5500);
    expect(held()).toEqual(listOf(ADDRESSES));
    expect(told).not.toContain('warning virtual-ip-lost');
    virtualIp.stop();
    await until('the kernel drops it', 5000 + NAMESPACES_GO_MS, () => held().length === 0);
  });

  it.each([
    ['', 0, 9000],
    // it is started three times for a claim, and more often on the way to one that ends with the right
    [', though the program that puts it starts late', 0.9, 15_000],
  ])(
    'never lasts longer than the right to serve, and is not claimed without it%s',
    async (_, lateSeconds, rightMs) => {
      const { PATH } = process.env;
      process.env.PATH = `${lateIp(lateSeconds)}:${PATH}`;
      try {
        mayServeUntilMs = clock.nowMs() + rightMs;
        const virtualIp = virtualIpOf(20);
        await virtualIp.claim(1);
        virtualIp.start('open');
        // a program that takes too long on a busy machine is ended, and begun again
        await until('it is held', 5000, () => held().length === 2);
        const endMs = mayServeUntilMs + NAMESPACES_GO_MS;
        await until('the kernel drops it', endMs - clock.nowMs(), () => held().length === 0);
        mayServeUntilMs = 0;
        await delay(600);
        await virtualIp.claim(2);
        expect(held()).toEqual([]);
      } finally {
        process.env.PATH = PATH;
      }
    },
    30_000,
  );

  it('is dropped by the kernel within the time that is allowed for it, also where addresses change in its last second', async () => {
    const lateMs: number[] = [];
    do {
      await Promise.all(listOf(ADDRESSES).map((address) => holder.put(address, 2)));
      const endMs = clock.nowMs() + 2000;
      await delay(1900);
      for (const other of OTHERS) ip('address', 'replace', other, 'dev', TAG, ...nodad(other));
      await until('the kernel drops them', 20_000, () => held().length === 0);
      lateMs.push(clock.nowMs() - endMs);
    } while (Math.min(...lateMs) > KERNEL_LATE_MS && lateMs.length < LIFETIMES);
    expect(Math.min(...lateMs)).toBeLessThanOrEqual(KERNEL_LATE_MS);
  });

  it('is never put for longer than the right to serve lasts, less what the kernel may be late', async () => {
    mayServeUntilMs = clock.nowMs() + 8000;
    // of one that was put too late on a busy machine the one that is put after it counts, or its removal
    const ends = new Map<string, number>();
    const { put, remove } = NetworkInterface.prototype;
    const spies = [
      jest.spyOn(holder, 'put').mockImplementation(async (address, seconds) => {
        await put.call(holder, address, seconds);
        ends.set(address, clock.nowMs() + seconds * 1000);
      }),
      jest.spyOn(holder, 'remove').mockImplementation(async (address) => {
        await remove.call(holder, address);
        ends.delete(address);
      }),
    ];
    const virtualIp = virtualIpOf(20);
    await virtualIp.claim(1);
    expect(ends.size).toBe(2);
    virtualIp.start('open');
    await until('the kernel drops it', mayServeUntilMs - clock.nowMs() + NAMESPACES_GO_MS, () => held().length === 0);
    for (const spy of spies) spy.mockRestore();
    for (const end of ends.values()) expect(end).toBeLessThanOrEqual(mayServeUntilMs - 1000);
  });

  it('is not claimed where a neighbour has it, which is told once; it is claimed when that has gone', async () => {
    for (const address of listOf(ADDRESSES)) takesAsNeighbour(address);
    const virtualIp = virtualIpOf();
    await virtualIp.claim(1);
    virtualIp.start('open');
    await delay(2600);
    expect(held()).toEqual([]);
    expect(told).toEqual(['critical virtual-ip-conflict', 'critical virtual-ip-conflict']);
    expect(virtualIp.view()).toMatchObject({ held: false, reason: expect.stringContaining('is in use by') });
    for (const address of listOf(ADDRESSES))
      onNeighbour('address', 'delete', `${address}/${length(address)}`, 'dev', 'eth0');
    await until('it is claimed', 5000, () => held().length === 2);
    await until('the status says so', 1000, () => virtualIp.view().held);
    expect(virtualIp.view().reason).toBeUndefined();
  });

  it('is claimed ahead of the opening, which does not wait for it then, and goes again when that fails', async () => {
    const virtualIp = virtualIpOf(10);
    virtualIp.start('closed');
    virtualIp.claimAhead(1);
    await until('it is held', 2000, () => held().length === 2);
    const probe = jest.spyOn(holder, 'neighbourWith');
    await virtualIp.claim(1);
    expect(probe).not.toHaveBeenCalled();
    probe.mockRestore();
    expect(told).toEqual(['info virtual-ip-claimed', 'info virtual-ip-claimed']);
    mayServeUntilMs = 0;
    await until('it is given back', 2000, () => held().length === 0);
    mayServeUntilMs = Number.POSITIVE_INFINITY;
    await virtualIp.release();
    virtualIp.claimAhead(0); // of an older epoch
    await delay(1000);
    expect(held()).toEqual([]);
  });

  it('is put back when somebody removes it, and told', async () => {
    const virtualIp = virtualIpOf();
    await virtualIp.claim(1);
    virtualIp.start('open');
    for (const address of listOf(ADDRESSES)) ip('address', 'delete', `${address}/${length(address)}`, 'dev', TAG);
    await until('it is back', 3000, () => held().length === 2);
    expect(told).toContain('warning virtual-ip-lost');
    expect(told).not.toContain('warning virtual-ip-not-announced');
  });

  it('is not renewed without a carrier, and is claimed again with it', async () => {
    const virtualIp = virtualIpOf(2);
    await virtualIp.claim(1);
    virtualIp.start('open');
    onNeighbour('link', 'set', 'eth0', 'down');
    await until('it is told', 2000, () => told.includes('warning virtual-ip-interface-down'));
    await until(
      'the kernel drops it',
      3000 + NAMESPACES_GO_MS,
      () => !ip('address', 'show', 'dev', TAG).includes(ADDRESSES.ipv4),
    );
    onNeighbour('link', 'set', 'eth0', 'up');
    onNeighbour('address', 'replace', OF_NEIGHBOUR[1] ?? '', 'dev', 'eth0', 'nodad');
    await until('it is claimed', 5000, () => held().length === 2);
  });

  it('is adopted by the next manager where the application runs on, and given back where it does not', async () => {
    const first = virtualIpOf(10);
    await first.claim(1);
    first.stop();
    const second = virtualIpOf(10);
    second.start('open');
    await until('the status says so', 1000, () => second.view().held);
    expect(told.filter((code) => code === 'info virtual-ip-claimed')).toHaveLength(2);
    second.stop();
    const third = virtualIpOf(10);
    third.start('as-left');
    await until('the status says so', 1000, () => third.view().held);
    third.stop();
    virtualIpOf(10).start('closed');
    await until('it is gone', 2000, () => held().length === 0);
  });

  it('a claim that is called off meanwhile leaves nothing, and an old epoch claims nothing', async () => {
    const virtualIp = virtualIpOf();
    const claimed = virtualIp.claim(2);
    await virtualIp.drop();
    await claimed;
    expect(held()).toEqual([]);
    await expect(virtualIp.claim(1)).rejects.toThrow('epoch 1 is lower than 2');
    // as the opening of a server that is called off when it was nearly over
    virtualIp.claimAhead(3);
    await delay(20);
    void virtualIp.claim(3);
    await virtualIp.drop();
    expect(told).toEqual([]);
  });

  it('the clients’ connections end with it', async () => {
    const virtualIp = virtualIpOf();
    await virtualIp.claim(1);
    const server = createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => server.listen(0, () => resolve()));
    const { port } = server.address() as { port: number };
    const client = spawn('ip', ['netns', 'exec', TAG, process.execPath, '-e', CLIENT, String(port), ADDRESSES.ipv4]);
    let said = '';
    client.stdout.on('data', (chunk) => {
      said += chunk;
    });
    await until('it is connected', 5000, () => said === 'connected ');
    await virtualIp.release();
    await until('it is told', 1000, () => said === 'connected ECONNRESET ');
    client.kill();
    server.close();
  });

  it('is refused at registration where a neighbour has it', async () => {
    const requirements = new VirtualIpRequirements(holder);
    const servers = { ownName: 'alpha', ownAddress: '198.18.77.1', peerAddress: '198.18.77.2' };
    expect(await requirements.objectionsNow(ADDRESSES, servers)).toEqual([]);
    takesAsNeighbour(ADDRESSES.ipv6);
    expect(await requirements.objectionsNow(ADDRESSES, servers)).toEqual([
      { pointer: '/virtualIp/ipv6', message: expect.stringMatching(/^fd77:198:18::100 is in use by [0-9a-f:]{17} on/) },
    ]);
  });
});

const CLIENT = `const [port, host] = process.argv.slice(1);
const socket = require('node:net').connect(port, host, () => process.stdout.write('connected '));
socket.on('error', ({ code }) => process.stdout.write(code + ' '));
setTimeout(() => undefined, 10000);`;
