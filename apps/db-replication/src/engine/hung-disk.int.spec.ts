import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { StateFile } from '../adapters/state-file.ts';
import { type DatabaseServer, DatabaseStage, until } from '../testing/database-stage.ts';

jest.setTimeout(120_000);

/** A disk of its own for the data of A, which can be frozen. */
class Disk {
  constructor(
    private readonly image: string,
    readonly mountPoint: string,
  ) {}

  attach(): void {
    execFileSync('truncate', ['-s', '512M', this.image]);
    execFileSync('mkfs.ext4', ['-q', this.image]);
    mkdirSync(this.mountPoint, { recursive: true });
    execFileSync('mount', ['-o', 'loop', this.image, this.mountPoint]);
  }

  freeze(): void {
    execFileSync('fsfreeze', ['-f', this.mountPoint]);
  }

  thaw(): void {
    execFileSync('fsfreeze', ['-u', this.mountPoint]);
  }

  detach(): void {
    execFileSync('umount', [this.mountPoint]);
  }
}

let stage: DatabaseStage;
let a: DatabaseServer;
let disk: Disk;

beforeAll(async () => {
  stage = await DatabaseStage.make();
  ({ a } = stage);
  await a.engine.close({ shutdown: false });
  disk = new Disk(join(stage.directory, 'disk'), join(stage.directory, 'mount'));
  disk.attach();
  a.settings = { ...a.settings, dataDirectory: join(disk.mountPoint, 'postgresql') };
  await a.begin();
  await a.perform({ kind: 'start-active' });
});

afterAll(async () => {
  await a.engine.close({ shutdown: true });
  disk.detach();
  await stage.remove();
});

it('a disk that hangs is seen within seconds, and does not stop the observation', async () => {
  await a.reaches({ usable: true });
  disk.freeze();
  try {
    await a.reaches({ usable: false, running: true, role: 'read-write' }, 10_000);
    const seen = a.observed.length;
    // Facts keep coming, and the service answers, however long it hangs.
    await until(async () => a.observed.length >= seen + 3, 12_000);
    expect((await a.engine.facts()).unusableSeconds).toBeGreaterThan(0);
  } finally {
    disk.thaw();
  }
  await a.reaches({ usable: true });
  await a.perform({ kind: 'stop' });
  await a.perform({ kind: 'start-active' });
});

it('a PostgreSQL that is frozen is seen as unusable', async () => {
  const pid = a.postmasterPid;
  process.kill(pid, 'SIGSTOP');
  try {
    await a.reaches({ usable: false, running: true });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await a.reaches({ usable: true });
});

it('PostgreSQL answers again when its full disk has room again', async () => {
  const filler = join(disk.mountPoint, 'filler');
  await a.query('CREATE TABLE fill (t text)');
  attempt('dd', 'if=/dev/zero', `of=${filler}`, 'bs=1M');
  const grow = 'INSERT INTO fill SELECT repeat(md5(i::text), 200) FROM generate_series(1, 100000) i';
  await expect(a.query(grow)).rejects.toThrow();
  execFileSync('rm', [filler]);
  await a.reaches({ usable: true }, 30_000);
});

it('what PostgreSQL shall do is remembered on a full disk', async () => {
  const file = join(disk.mountPoint, 'intent.json');
  const state = new StateFile(file, 'run');
  await state.update({ desired: 'active', epoch: 7 });
  attempt('dd', 'if=/dev/zero', `of=${join(disk.mountPoint, 'filler')}`, 'bs=1M');
  attempt('dd', 'if=/dev/zero', `of=${join(disk.mountPoint, 'last')}`, 'bs=1k');
  await state.update({ desired: 'stopped', epoch: 8 });
  expect(new StateFile(file, 'run').current).toMatchObject({ desired: 'stopped', epoch: 8 });
  execFileSync('rm', [join(disk.mountPoint, 'filler'), join(disk.mountPoint, 'last')]);
});

/** Runs a program that may fail. */
function attempt(program: string, ...args: string[]): void {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
  } catch {
    // A full disk is what it is for.
  }
}
