import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { DockerEngine } from './docker-engine.ts';
import { livingProcess } from './process-table.ts';
import { Systemctl } from './systemctl.ts';
import { dockerIsAvailable, PrivateDocker } from './testing/private-docker.ts';
import { runsAnew, Supervised, until, viewOf } from './testing/supervised.ts';

jest.setTimeout(60_000);

/** Nothing supersedes the start. */
const NEVER = new AbortController().signal;
const PROCESS = { name: 'app', container: 'nms', stopSeconds: 1 };
const SLEEPS = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

const available = dockerIsAvailable();
const title = 'containers as processes of the application';

function supervisedBy(directory: string, docker: DockerEngine): Supervised {
  const units = { units: '/nonexistent', permits: '/nonexistent' };
  return new Supervised(directory, { systemctl: new Systemctl(['/nonexistent']), units, docker });
}

(available ? describe : describe.skip)(available ? title : `${title} (needs root and a Docker engine)`, () => {
  let docker: PrivateDocker;
  let directory: string;
  let supervised: Supervised;

  beforeAll(async () => {
    docker = new PrivateDocker();
    await docker.start();
  });
  afterAll(() => docker.destroy());
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'understudy-processes-'));
    supervised = supervisedBy(directory, docker.engine);
  });
  afterEach(async () => {
    await supervised.end();
    docker.docker('rm', '-f', 'nms');
    rmSync(directory, { recursive: true, force: true });
  });

  const isRunning = () => docker.docker('inspect', '-f', '{{.State.Running}}', 'nms') === 'true';

  it('are started, watched and stopped, and not restarted beside us', async () => {
    docker.create('nms', SLEEPS, '--restart=always');
    const supervisor = supervised.by(PROCESS);
    await supervisor.startAll(1, NEVER);
    await supervisor.startAll(1, NEVER); // safe to repeat
    const { pid } = viewOf(supervisor);
    expect(viewOf(supervisor)).toMatchObject({ adapter: 'docker', state: 'running', pid: expect.any(Number) });
    expect(docker.docker('inspect', '-f', '{{.HostConfig.RestartPolicy.Name}}', 'nms')).toBe('no');
    process.kill(pid as number, 'SIGKILL');
    await until(() => runsAnew(supervisor, pid));
    expect(supervised.told).toEqual(['warning app is restarted: it ended with exit code 137']);
    await supervisor.stopAll();
    expect([isRunning(), viewOf(supervisor).state]).toEqual([false, 'stopped']);
  });

  it('are stopped where this server is not active, and the engine does not bring them back', async () => {
    docker.create('nms', SLEEPS, '--restart=always');
    docker.docker('start', 'nms');
    supervised.by(PROCESS);
    await until(() => supervised.told.length > 0, 10_000);
    expect(supervised.told).toEqual([
      'warning app was started by others, and has been stopped: container nms runs on the active server only',
    ]);
    await docker.stop();
    await docker.start();
    expect(isRunning()).toBe(false);
  });

  it('are adopted by the next manager, and ended also while the engine is away', async () => {
    docker.create('nms', SLEEPS);
    const first = supervised.by(PROCESS);
    await first.startAll(1, NEVER);
    const { pid } = viewOf(first);
    await first.release();
    const second = supervised.by(PROCESS);
    expect(viewOf(second)).toMatchObject({ state: 'running', pid });
    await second.startAll(1, NEVER);
    expect(viewOf(second).pid).toBe(pid);
    await docker.stop();
    await second.killAll();
    expect(livingProcess(pid as number)).toBeNull();
    await docker.start();
    expect(isRunning()).toBe(false);
  });

  it('are killed after the grace time', async () => {
    docker.create('nms', "trap '' TERM; while :; do sleep 0.1; done");
    const supervisor = supervised.by(PROCESS);
    await supervisor.startAll(1, NEVER);
    const begunMs = performance.now();
    await supervisor.stopAll();
    expect(performance.now() - begunMs).toBeGreaterThan(900);
    expect(isRunning()).toBe(false);
  });

  it('fail as commands do: when there is no such container, and again and again', async () => {
    docker.create('nms', 'exit 3');
    const supervisor = supervised.by(PROCESS);
    await expect(supervisor.startAll(1, NEVER)).rejects.toThrow('it ended with exit code 3; 3 restarts within 60 s');
    const other = supervised.by({ ...PROCESS, container: 'nothing' });
    await expect(other.startAll(1, NEVER)).rejects.toThrow('there is no container nothing');
  });
});

it('a machine without an engine runs no container: that is told, and stands in no way', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-processes-'));
  const supervised = supervisedBy(directory, new DockerEngine('/nonexistent/socket'));
  const supervisor = supervised.by(PROCESS);
  await supervisor.stopAll();
  await expect(supervisor.startAll(1, NEVER)).rejects.toThrow(
    'the Docker engine is not reached by /nonexistent/socket',
  );
  await supervised.end();
  rmSync(directory, { recursive: true, force: true });
});
