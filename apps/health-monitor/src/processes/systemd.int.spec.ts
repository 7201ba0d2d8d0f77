import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DockerEngine } from './docker-engine.ts';
import { livingProcess, membersOf } from './process-table.ts';
import { Systemctl } from './systemctl.ts';
import { PrivateSystemd, systemdIsAvailable } from './testing/private-systemd.ts';
import { runsAnew, Supervised, until, viewOf } from './testing/supervised.ts';

jest.setTimeout(30_000);

/** Nothing supersedes the start. */
const NEVER = new AbortController().signal;
const UNIT = 'nms.service';
const PROCESS = { name: 'app', unit: UNIT };

const available = systemdIsAvailable();
const title = 'units of systemd as processes of the application';

(available ? describe : describe.skip)(available ? title : `${title} (needs root, systemd and control groups)`, () => {
  let systemd: PrivateSystemd;
  let supervised: Supervised;

  beforeAll(async () => {
    systemd = new PrivateSystemd();
    await systemd.boot();
  });
  afterAll(() => systemd.destroy());
  beforeEach(() => {
    const { systemctl, places: units, directory } = systemd;
    supervised = new Supervised(directory, { systemctl, units, docker: new DockerEngine('/nonexistent') });
  });
  afterEach(async () => {
    await supervised.end();
  });

  const file = (name: string) => join(systemd.directory, name);
  const dropIn = () => join(systemd.places.units, `${UNIT}.d/50-understudy.conf`);
  const members = () => membersOf(`${systemd.directory}|app`, null, false).map(({ pid }) => pid);
  const isActive = async () => (await systemd.systemctl.show(UNIT)).ActiveState === 'active';
  /** A unit that nobody has tied to anything. */
  const runs = async (script: string) => {
    rmSync(dropIn(), { force: true });
    await systemd.unit(UNIT, `[Service]\nExecStart=/bin/sh -c "${script}"\nRestart=always\nRestartSec=0\n`);
  };

  it('are started and stopped, told what they need to know, and not restarted beside us', async () => {
    await runs(`echo $PGPORT:$UNDERSTUDY_NODE_NAME:$OWN > ${file('told')}; exec sleep 1000`);
    const supervisor = supervised.by({ ...PROCESS, environment: { OWN: 'a "b" $c \\ d' } });
    await supervisor.startAll(1, NEVER);
    await supervisor.startAll(1, NEVER); // safe to repeat
    expect(viewOf(supervisor)).toMatchObject({ adapter: 'systemd', state: 'running', pid: expect.any(Number) });
    await until(() => existsSync(file('told')) && readFileSync(file('told'), 'utf8').includes('\n'));
    expect(readFileSync(file('told'), 'utf8')).toBe('5544:alpha:a "b" $c \\ d\n');
    expect(members()).toEqual([viewOf(supervisor).pid]);

    const { pid } = viewOf(supervisor);
    process.kill(pid as number, 'SIGKILL');
    await until(() => runsAnew(supervisor, pid));
    expect(supervised.told).toEqual(['warning app is restarted: it was ended by SIGKILL']);
    await supervisor.stopAll();
    expect([members(), await isActive(), viewOf(supervisor).state]).toEqual([[], false, 'stopped']);
  });

  it('start by no other hand while this server is not active: neither an operator’s nor that of a boot', async () => {
    await runs('exec sleep 1000');
    systemd.enable(UNIT);
    await systemd.systemctl.run(['start', UNIT]);
    expect(await isActive()).toBe(true);
    const standby = supervised.by(PROCESS);
    await until(async () => !(await isActive()));
    await until(() => supervised.told.length > 0);
    expect(supervised.told).toEqual([
      'warning app was started by others, and has been stopped: nms.service runs on the active server only',
    ]);
    await systemd.systemctl.run(['start', UNIT]); // its condition is not met
    expect(await isActive()).toBe(false);

    await standby.startAll(1, NEVER);
    expect(await isActive()).toBe(true);
    await standby.release();
    await systemd.powerOff();
    await systemd.boot();
    expect((await systemd.systemctl.show(UNIT)).FragmentPath).not.toBe('');
    expect(await isActive()).toBe(false);
    const active = supervised.by(PROCESS);
    await active.startAll(2, NEVER);
    expect(await isActive()).toBe(true);
  });

  it('are adopted by the next manager: not started twice, still watched, stopped in the end', async () => {
    await runs('exec sleep 1000');
    const first = supervised.by(PROCESS);
    await first.startAll(1, NEVER);
    const { pid } = viewOf(first);
    await first.release();
    const second = supervised.by(PROCESS);
    expect(viewOf(second)).toMatchObject({ state: 'running', pid });
    await second.startAll(1, NEVER);
    expect(viewOf(second).pid).toBe(pid);
    process.kill(pid as number, 'SIGTERM');
    await until(() => runsAnew(second, pid));
    await second.release();
    // what was started otherwise than configured now is started anew
    const third = supervised.by({ ...PROCESS, environment: { OTHER: '1' } });
    const old = viewOf(second).pid ?? members()[0];
    await third.startAll(1, NEVER);
    expect(livingProcess(old as number)).toBeNull();
    expect(members()).toEqual([viewOf(third).pid]);
  });

  it('are killed after the grace time, and at once when the right to serve ends', async () => {
    const stubborn = `trap '' TERM; echo $$$$ > ${file('pid')}; while :; do sleep 0.05; done`;
    await runs(stubborn);
    const supervisor = supervised.by({ ...PROCESS, stopSeconds: 1 });
    await supervisor.startAll(1, NEVER);
    await until(() => existsSync(file('pid')));
    const begunMs = performance.now();
    await supervisor.stopAll();
    expect(performance.now() - begunMs).toBeGreaterThan(900);
    expect([members(), await isActive()]).toEqual([[], false]);

    const patient = supervised.by({ ...PROCESS, stopSeconds: 60 });
    await patient.startAll(2, NEVER);
    const stop = patient.stopAll();
    const killMs = performance.now();
    await patient.killAll();
    await stop;
    expect(performance.now() - killMs).toBeLessThan(5000);
    expect([members(), await isActive()]).toEqual([[], false]);
  });

  it('fail as commands do: again and again, and when there is no such unit', async () => {
    await runs(`test -e ${file('mended')} || exit 3; exec sleep 1000`);
    const supervisor = supervised.by(PROCESS, { name: 'nothing', unit: 'nothing.service', critical: false });
    await expect(supervisor.startAll(1, NEVER)).rejects.toMatchObject({ code: 'process-failed' });
    expect(supervised.told).toContain('failed app: it ended with exit code 3; 3 restarts within 60 s are used up');
    writeFileSync(file('mended'), '');
    await supervisor.startAll(1, NEVER);
    await until(() => viewOf(supervisor, 'nothing').state === 'failed');
    expect(viewOf(supervisor, 'nothing').reason).toContain('there is no unit nothing.service');
    await supervisor.stopAll();
  });

  it('are systemd’s again when they are not configured any more', async () => {
    await runs('exec sleep 1000');
    const first = supervised.by(PROCESS);
    await first.startAll(1, NEVER);
    expect(existsSync(dropIn())).toBe(true);
    await first.release();
    supervised.by();
    await until(() => !existsSync(dropIn()) && members().length === 0);
    await until(() => supervised.told.some((line) => line.includes('as it did before')));
    await systemd.systemctl.run(['start', UNIT]);
    expect(await isActive()).toBe(true);
    await systemd.systemctl.run(['stop', UNIT]);
  });
});

it('a machine without systemd runs no unit: that is told, and stands in no way', async () => {
  const systemctl = new Systemctl(['/nonexistent/systemctl']);
  const places = { units: '/nonexistent/units', permits: '/nonexistent/permits' };
  const supervised = new Supervised('/nonexistent', {
    systemctl,
    units: places,
    docker: new DockerEngine('/nonexistent'),
  });
  const supervisor = supervised.by(PROCESS);
  await supervisor.stopAll();
  await expect(supervisor.startAll(1, NEVER)).rejects.toMatchObject({ code: 'process-failed' });
  await supervised.end();
});
