import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { until } from '../real-pair/deadline.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { scenariosOnRealPair } from './scenario.ts';

/** Every host has a /tmp of its own. */
const FOLDER = 'settings';
const sections = {
  fileSets: [
    { name: 'settings', path: `/tmp/${FOLDER}`, class: 'realtime', exclude: ['*.tmp'] },
    // every 500 s: what is there sooner was sent because the role moved
    { name: 'licenses', path: '/tmp/licenses', class: 'batch' },
    { name: 'keys', path: '/tmp/keys', class: 'realtime', atomic: true },
  ],
};
const SOON = { withinMs: 8000, everyMs: 50 };

/** The set's directory on a server, made when it is not there. */
function folderOf({ host }: UnderstudyServer): string {
  const folder = join(host.directory, 'tmp', FOLDER);
  mkdirSync(folder, { recursive: true });
  return folder;
}

const contentOf = (file: string) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
};

async function holds(server: UnderstudyServer, name: string, content: string | null): Promise<void> {
  const file = join(server.host.directory, 'tmp', FOLDER, name);
  await until(`${server.description.name} holds ${name}`, SOON, async () => contentOf(file) === content);
}

scenariosOnRealPair('files', { layout: 'separate', sections }, (scenario) => {
  // Spec: "How High Availability Works" (file synchronisation), "Trigger Failback".
  scenario(
    'files go from the active server to the other, whichever is which',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const alpha = folderOf(primary);
      writeFileSync(join(alpha, 'nms.conf'), 'one', { mode: 0o640 });
      writeFileSync(join(alpha, 'half.tmp'), 'no');
      await holds(secondary, 'nms.conf', 'one');
      expect(statSync(join(folderOf(secondary), 'nms.conf')).mode & 0o777).toBe(0o640);
      writeFileSync(join(alpha, 'nms.conf'), 'two');
      await holds(secondary, 'nms.conf', 'two');
      expect(readdirSync(folderOf(secondary))).not.toContain('half.tmp');

      await secondary.perform('/ha/forced-failover', {}, { withinMs: 30_000 });
      await pair.inSyncSwapped({ withinMs: 30_000 });
      writeFileSync(join(folderOf(secondary), 'nms.conf'), 'three');
      await holds(primary, 'nms.conf', 'three');
      rmSync(join(folderOf(secondary), 'nms.conf'));
      await holds(primary, 'nms.conf', null);

      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      await pair.inSync({ withinMs: 30_000 });
      writeFileSync(join(alpha, 'nms.conf'), 'four');
      await holds(secondary, 'nms.conf', 'four');
      const { json } = await secondary.rest('GET', '/files');
      expect((json as { fileSets: object[] }).fileSets[0]).toMatchObject({
        name: 'settings',
        direction: 'fetches',
        errorCount: 0,
      });
    },
  );

  // Spec: "Trigger Failback": updated files are copied before the switch.
  scenario(
    'what was written last goes to the other server before the role does',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const license = ({ host }: UnderstudyServer) => join(host.directory, 'tmp', 'licenses', 'license');
      for (const { host } of pair.servers)
        for (const name of ['licenses', 'keys']) mkdirSync(join(host.directory, 'tmp', name), { recursive: true });
      for (const server of pair.servers) folderOf(server);
      writeFileSync(license(primary), 'written just before the failover');
      await secondary.perform('/ha/forced-failover', {}, { withinMs: 30_000 });
      expect(contentOf(license(secondary))).toBe('written just before the failover');
      await pair.inSyncSwapped({ withinMs: 30_000 });
      writeFileSync(license(secondary), 'written just before the failback');
      await secondary.perform('/ha/failback', {}, { withinMs: 30_000 });
      expect(contentOf(license(primary))).toBe('written just before the failback');
      await pair.inSync({ withinMs: 30_000 });
      for (const server of pair.servers) {
        await server.refreshHistory();
        const codes = server.history.eventsSinceMark().map(({ code }) => code);
        expect(codes).not.toContain('files-not-handed-over');
      }
    },
  );

  scenario(
    'a file that was changed by hand on the standby is kept aside and replaced, and the event list says so',
    { failoverType: 'manual' },
    async ({ primary, secondary }) => {
      writeFileSync(join(folderOf(primary), 'license'), 'right');
      await holds(secondary, 'license', 'right');
      writeFileSync(join(folderOf(secondary), 'license'), 'by hand');
      await until('it is replaced', { withinMs: 20_000 }, async () => {
        return contentOf(join(folderOf(secondary), 'license')) === 'right';
      });
      const { json } = await secondary.rest('GET', '/ha/events?limit=50');
      const told = (json as { events: { code: string; message: string }[] }).events.find(
        ({ code }) => code === 'file-set-aside',
      );
      const kept = /kept in (\S+)$/.exec(told?.message ?? '')?.[1] ?? '';
      expect(contentOf(join(kept, 'license'))).toBe('by hand');
    },
  );

  scenario(
    'when file-sync is killed on either side while a large file changes, the standby has the old one or the new one',
    { failoverType: 'manual' },
    async ({ primary, secondary }) => {
      const large = (letter: string) => letter.repeat(64 * 1024 * 1024);
      const source = join(folderOf(primary), 'large');
      const target = join(folderOf(secondary), 'large');
      const write = (letter: string) => {
        writeFileSync(`${source}.tmp`, large(letter));
        renameSync(`${source}.tmp`, source);
      };
      write('a');
      await until('the first is there', { withinMs: 30_000 }, async () => contentOf(target) === large('a'));
      for (const [letter, victim] of [
        ['b', secondary],
        ['c', primary],
      ] as const) {
        const before = contentOf(target);
        write(letter);
        await until('it is being received', { withinMs: 20_000, everyMs: 1 }, async () =>
          readdirSync(join(folderOf(secondary), '.understudy')).some((name) => name.endsWith('.part')),
        );
        victim.host.kill(victim.servicePid('file-sync'));
        const seen = contentOf(target);
        expect(seen === before || seen === large(letter)).toBe(true);
        await until('the new one is there', { withinMs: 40_000 }, async () => contentOf(target) === large(letter));
      }
    },
  );

  scenario(
    'when file-sync is killed while the files of an atomic set appear, they all appear',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const folder = ({ host }: UnderstudyServer) => join(host.directory, 'tmp', 'keys');
      for (const { host } of pair.servers) mkdirSync(join(host.directory, 'tmp', 'keys'), { recursive: true });
      const names = Array.from({ length: 200 }, (_, index) => `key-${index}`);
      const write = (text: string) => {
        for (const name of names) writeFileSync(join(folder(primary), name), text);
      };
      const hasAll = (text: string) => names.every((name) => contentOf(join(folder(secondary), name)) === text);
      write('one');
      await until('the first are there', { withinMs: 20_000 }, async () => hasAll('one'));
      write('two');
      const journal = join(folder(secondary), '.understudy', 'journal');
      await until('they appear', { withinMs: 20_000, everyMs: 1 }, async () => existsSync(journal) || hasAll('two'));
      secondary.host.kill(secondary.servicePid('file-sync'));
      await until('all are there', { withinMs: 40_000 }, async () => hasAll('two'));
      await until('the step is over', { withinMs: 20_000 }, async () => !existsSync(journal));
    },
  );

  scenario(
    'a set that loses most of its files waits for an operator’s word',
    { failoverType: 'manual' },
    async ({ pair, primary, secondary }) => {
      const disk = join(folderOf(primary), 'disk');
      mkdirSync(disk);
      for (let index = 0; index < 30; index++) writeFileSync(join(disk, `f${index}`), 'x');
      await holds(secondary, 'disk/f29', 'x');
      renameSync(disk, mkdtempSync(join(pair.stage.directory, 'unmounted-')));
      const waiting = async () => {
        const { json } = await secondary.rest('GET', '/files');
        return (json as { fileSets: { awaitingDeletion: { deletions: number } | null }[] }).fileSets[0]
          ?.awaitingDeletion;
      };
      await until('it waits', { withinMs: 20_000 }, async () => (await waiting()) !== null);
      await holds(secondary, 'disk/f29', 'x');
      const diff = await secondary.command('files', 'diff', 'settings');
      expect([diff.code, diff.output]).toEqual([0, expect.stringMatching(/disk\/f29: only here, since 20/)]);
      await until('the active server says so too', { withinMs: 10_000 }, async () =>
        /on the peer: 30 of \d+ files would go at once: confirm-deletion there lets them/.test(
          (await primary.command('files', 'status')).output,
        ),
      );
      const { code, output } = await secondary.command('files', 'confirm-deletion', 'settings', '--yes');
      expect([code, output.trim()]).toEqual([0, 'settings: the deletion of 30 files is confirmed.']);
      await holds(secondary, 'disk/f29', null);
    },
  );
});
