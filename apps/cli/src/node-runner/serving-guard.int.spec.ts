import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { formatServingNote, SILENT_LOGGER, SystemClock } from '@understudy/platform';
import { ServingGuard } from './serving-guard.ts';

const LINK = `ug${process.pid.toString(36)}`;
const OWN = ['198.18.78.1/24', 'fd77:198:19::1/64'];
const VIRTUAL = ['198.18.78.100/32', 'fd77:198:19::100/128'];
const clock = new SystemClock();
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const isPossible = process.platform === 'linux' && process.getuid?.() === 0 && canMakeLinks();

function canMakeLinks(): boolean {
  try {
    ip('link', 'add', LINK, 'type', 'veth', 'peer', 'name', `${LINK}p`);
    ip('link', 'delete', LINK);
    return true;
  } catch {
    return false;
  }
}

(isPossible ? describe : describe.skip)('a guard of a server with a virtual IP (needs root and a network)', () => {
  let directory: string;
  let guard: ServingGuard;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'guard-'));
    ip('link', 'add', LINK, 'type', 'veth', 'peer', 'name', `${LINK}p`);
    for (const link of [LINK, `${LINK}p`]) ip('link', 'set', link, 'up');
    for (const prefix of [...OWN, ...VIRTUAL])
      ip('address', 'add', prefix, 'dev', LINK, ...(prefix.includes(':') ? ['nodad'] : []));
    const server = {
      rightFile: join(directory, 'right'),
      runId: 'run',
      dataDirectory: directory,
      databaseDirectory: directory,
    };
    guard = new ServingGuard(server, clock, SILENT_LOGGER);
  });
  afterEach(() => {
    guard.stop();
    ip('link', 'delete', LINK);
    rmSync(directory, { recursive: true, force: true });
  });

  const carried = () =>
    (networkInterfaces()[LINK] ?? []).flatMap(({ cidr }) => (cidr === null || cidr.startsWith('fe80') ? [] : cidr));
  const note = (untilMs: number) =>
    writeFileSync(
      join(directory, 'right'),
      formatServingNote('run', { untilMs, virtualIp: { interface: LINK, prefixes: VIRTUAL } }),
    );

  async function taken(): Promise<void> {
    for (const endMs = clock.nowMs() + 10_000; carried().length > OWN.length && clock.nowMs() < endMs; )
      await delay(20);
  }

  it('takes it away when the right to serve has ended, however late the kernel is, and nothing else', async () => {
    note(clock.nowMs() + 60_000);
    guard.start();
    await delay(500);
    expect(carried().sort()).toEqual([...OWN, ...VIRTUAL].sort());
    note(clock.nowMs());
    await taken();
    await delay(300);
    expect(carried().sort()).toEqual([...OWN].sort());
    // as a manager that wakes late may do
    ip('address', 'add', VIRTUAL[0] ?? '', 'dev', LINK);
    await taken();
    expect(carried().sort()).toEqual([...OWN].sort());
  });
});
