import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { type ScenarioOptions, scenariosOnRealPair } from './scenario.ts';

const MIB = 1024 * 1024;
const sections = {
  fileSets: [
    { name: 'plain', path: '/tmp/plain', class: 'realtime' },
    { name: 'slow', path: '/tmp/slow', class: 'realtime', maxMibPerSecond: 4 },
    { name: 'small', path: '/tmp/small', class: 'realtime', exclude: ['ballast'] },
  ],
};
const MANUAL: ScenarioOptions = { failoverType: 'manual' };
const SOON = { withinMs: 60_000, everyMs: 50 };

/** The directory of a set on a server, made when it is not there. */
function folderOf({ host }: UnderstudyServer, set: string): string {
  const folder = join(host.directory, 'tmp', set);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function sameContent(a: string, b: string): boolean {
  try {
    return readFileSync(a).equals(readFileSync(b));
  } catch {
    return false;
  }
}

/** Bytes that a host has received over its cable. */
async function receivedBytes({ host }: UnderstudyServer): Promise<number> {
  const { output } = await host.run(['ip', '-j', '-s', 'link', 'show', 'type', 'veth']);
  const links = JSON.parse(output) as { stats64: { rx: { bytes: number } } }[];
  return links.reduce((sum, { stats64 }) => sum + stats64.rx.bytes, 0);
}

async function eventsOf(server: UnderstudyServer): Promise<{ code: string; message: string }[]> {
  const { json } = await server.rest('GET', '/ha/events?limit=200');
  return (json as { events: { code: string; message: string }[] }).events;
}

scenariosOnRealPair('file transfer', { layout: 'composed', sections }, (scenario) => {
  scenario(
    'only what has changed of a large file goes over the link, nothing of a renamed one, and little of what shrinks',
    MANUAL,
    async ({ primary, secondary }) => {
      const [source, target] = [folderOf(primary, 'plain'), folderOf(secondary, 'plain')];
      /** Mebibytes that go over the link until a file is there. */
      const costOf = async (name: string, change: () => void) => {
        const before = await receivedBytes(secondary);
        change();
        const isThere = async () => sameContent(join(source, name), join(target, name));
        await until(`${name} is there`, SOON, isThere);
        return ((await receivedBytes(secondary)) - before) / MIB;
      };
      const whole = await costOf('large', () => writeFileSync(join(source, 'large'), randomBytes(48 * MIB)));
      expect(whole).toBeGreaterThan(48);
      const changed = await costOf('large', () => {
        const fd = openSync(join(source, 'large'), 'r+');
        writeSync(fd, randomBytes(MIB), 0, MIB, 20 * MIB + 777);
        closeSync(fd);
      });
      expect(changed).toBeLessThan(6);
      const renamed = await costOf('renamed', () => renameSync(join(source, 'large'), join(source, 'renamed')));
      expect(renamed).toBeLessThan(3);
      await until('the old name is gone', SOON, async () => !existsSync(join(target, 'large')));
      const text = 'a line of a log, much like the one before it\n'.repeat((32 * MIB) / 45);
      expect(await costOf('text', () => writeFileSync(join(source, 'text'), text))).toBeLessThan(8);
    },
  );

  scenario(
    'a transfer keeps to its limit, and goes on where it was when the link was cut meanwhile',
    { ...MANUAL, timeoutMs: 240_000 },
    async ({ pair, primary, secondary }) => {
      const [source, target] = [folderOf(primary, 'slow'), folderOf(secondary, 'slow')];
      const staging = join(target, '.understudy');
      const size = 32 * MIB;
      const partBytes = () => {
        const part = existsSync(staging) ? readdirSync(staging).find((name) => name.endsWith('.part')) : undefined;
        return part === undefined ? 0 : (lstatSync(join(staging, part), { throwIfNoEntry: false })?.size ?? 0);
      };
      const before = await receivedBytes(secondary);
      const begunAtMs = performance.now();
      writeFileSync(join(source, 'large'), randomBytes(size));
      await until('a third is there', SOON, async () => partBytes() > size / 3);
      const seconds = (performance.now() - begunAtMs) / 1000;
      // 4 MiB each second, and what the sender and the connection hold
      expect(size / 3 / MIB / seconds).toBeLessThan(6);
      const { code, output } = await secondary.command('files', 'status');
      expect([code, output]).toEqual([0, expect.stringMatching(/slow \(realtime\).*, 1 pending \(\d+\.\d MiB\)/)]);

      secondary.host.cutLink();
      await until(
        'the loss is noticed',
        SOON,
        async () => (await primary.status())?.state === 'Primary Lost Secondary',
      );
      expect(sameContent(join(source, 'large'), join(target, 'large'))).toBe(false);
      secondary.host.healLink();
      await pair.inSync({ withinMs: 60_000 });
      await until('the file is there', SOON, async () => sameContent(join(source, 'large'), join(target, 'large')));
      // what was there already was not sent again
      expect(((await receivedBytes(secondary)) - before) / MIB).toBeLessThan(32 + 12);
    },
  );

  scenario(
    'links stay links, names are bytes, access control lists go along, and a pipe is left out with an event',
    MANUAL,
    async ({ primary, secondary }) => {
      const [source, target] = [folderOf(primary, 'plain'), folderOf(secondary, 'plain')];
      symlinkSync('/etc/passwd', join(source, 'outside'));
      const names = ['line\nbreak', '\u00ff\u00fe', '-rf *', 'a'.repeat(255), 'Case', 'case'];
      for (const name of names) writeFileSync(Buffer.from(join(source, name), 'latin1'), name, 'latin1');
      execFileSync('mkfifo', [join(source, 'pipe')]);
      writeFileSync(join(source, 'program'), '#!/bin/sh\n', { mode: 0o2751 });
      execFileSync('setfacl', ['-m', 'u:1234:rw', join(source, 'program')]);
      execFileSync('setfattr', ['-n', 'user.owner', '-v', 'night shift', join(source, 'program')]);
      writeFileSync(join(source, 'last'), 'last');
      await until('all is there', SOON, async () => sameContent(join(source, 'last'), join(target, 'last')));
      await until('the program is as it was', SOON, async () => {
        const of = (folder: string) =>
          execFileSync('sh', ['-c', 'getfacl -n program && getfattr -d program && stat -c %a program'], {
            cwd: folder,
            encoding: 'utf8',
          });
        return existsSync(join(target, 'program')) && of(source) === of(target);
      });
      expect(readlinkSync(join(target, 'outside'))).toBe('/etc/passwd');
      for (const name of names) expect(readFileSync(Buffer.from(join(target, name), 'latin1'), 'latin1')).toBe(name);
      expect(existsSync(join(target, 'pipe'))).toBe(false);
      await until('it is said', SOON, async () =>
        (await eventsOf(primary)).some(({ code, message }) => code === 'file-skipped' && message.includes('pipe')),
      );
      for (const name of [...names, 'outside', 'pipe', 'program', 'last'])
        rmSync(Buffer.from(join(source, name), 'latin1'), { force: true });
      await until(
        'all is gone',
        SOON,
        async () => !existsSync(join(target, 'last')) && !existsSync(join(target, 'program')),
      );
    },
  );

  scenario(
    'a full disk on the standby leaves the old files whole, is named, and what did not fit comes when there is room',
    MANUAL,
    async ({ primary, secondary }) => {
      const source = folderOf(primary, 'small');
      folderOf(secondary, 'small');
      // a disk that only the server sees, as its mounts are its own
      const pid = String(secondary.runnerPid());
      const asServer = (...command: string[]) => execFileSync('nsenter', ['-t', pid, '-m', ...command]);
      asServer('mount', '-t', 'tmpfs', '-o', 'size=24m', 'understudy-e2e', '/tmp/small');
      const target = `/proc/${pid}/root/tmp/small`;
      writeFileSync(join(source, 'one'), 'old');
      await until('the first is there', SOON, async () => sameContent(join(source, 'one'), join(target, 'one')));
      asServer('fallocate', '-l', '20M', '/tmp/small/ballast');
      // at once: the first part of it would fit
      writeFileSync(`${source}-large`, randomBytes(8 * MIB));
      renameSync(`${source}-large`, join(source, 'large'));
      await until('it is said', SOON, async () =>
        (await eventsOf(secondary)).some(({ message }) => /large.*disk is full/.test(message)),
      );
      expect([readFileSync(join(target, 'one'), 'utf8'), existsSync(join(target, 'large'))]).toEqual(['old', false]);
      rmSync(join(target, 'ballast'));
      await until('it comes', SOON, async () => sameContent(join(source, 'large'), join(target, 'large')));
      asServer('umount', '-l', '/tmp/small');
    },
  );
});
