import { createHash } from 'node:crypto';
import type { Clock } from '@understudy/platform';
import { type Container, type DockerEngine, EngineSilentError } from './docker-engine.ts';
import type { KnownLeader, ProcessAdapter, Run } from './process-adapter.ts';
import { endAll } from './process-group.ts';
import { orGone } from './process-life.ts';
import { identify, livingProcess, type ProcessIdentity } from './process-table.ts';

/**
 * Runs a container that the operator has made, as the engine has it; the engine keeps its output. The engine's own restarts are
 * switched off: when it runs is decided here. Decision: docs/decisions/0020-units-and-containers.md.
 */
export class DockerAdapter implements ProcessAdapter {
  readonly kind = 'docker';
  readonly digest: string;

  constructor(
    private readonly container: { readonly name: string; readonly stopSeconds: number },
    private readonly engine: DockerEngine,
    private readonly clock: Clock,
  ) {
    this.digest = createHash('sha256').update(container.name).digest('hex');
  }

  async launch(signal: AbortSignal): Promise<Run> {
    const { name } = this.container;
    const startedAtMs = this.clock.nowMs();
    await this.tie(await this.engine.inspect(name));
    await this.engine.start(name, signal);
    const started = await this.engine.inspect(name);
    if (!started?.State.Running) return { identity: null, startedAtMs, ended: Promise.resolve(howIt(started)) };
    const identity = identify(started.State.Pid);
    if (!identity && (await this.engine.inspect(name))?.State.Running)
      throw new Error(`the processes of container ${name} cannot be seen from here`);
    return { identity, startedAtMs, ended: identity ? this.ended(identity, signal) : this.told() };
  }

  async ended(identity: ProcessIdentity, signal: AbortSignal): Promise<string> {
    await orGone(identity, null, signal);
    return this.told();
  }

  async end(graceMs: number, leader: KnownLeader | null): Promise<void> {
    const { name } = this.container;
    // with the first process of a container the kernel ends all of them
    const first = () => {
      const found = leader && livingProcess(leader.identity.pid);
      return found && found.startTime === leader.identity.startTime && leader.wasSeen ? [found] : [];
    };
    // without grace nothing waits for the engine
    if (graceMs <= 0) await endAll(first, 0);
    try {
      if (graceMs > 0) await this.engine.stop(name, Math.ceil(graceMs / 1000));
      else await this.engine.kill(name);
      if ((await this.engine.inspect(name))?.State.Running) throw new Error(`container ${name} still runs`);
    } catch (error) {
      if (!(error instanceof EngineSilentError)) throw error;
      // one that we have not started, of a silent engine, is looked for when the engine answers again
    }
    await endAll(first, 0);
  }

  async keepStopped(): Promise<readonly string[]> {
    const { name, stopSeconds } = this.container;
    const found = await this.engine.inspect(name);
    await this.tie(found);
    if (!found?.State.Running) return [];
    await this.engine.stop(name, Math.ceil(stopSeconds));
    return [`was started by others, and has been stopped: container ${name} runs on the active server only`];
  }

  private async tie(found: Container | null): Promise<void> {
    const { name } = this.container;
    if (!found) throw new Error(`there is no container ${name}`);
    if (!['', 'no'].includes(found.HostConfig.RestartPolicy.Name)) await this.engine.leaveRestartsToUs(name);
  }

  private told(): Promise<string> {
    return this.engine.inspect(this.container.name).then(howIt, () => 'it has ended');
  }
}

function howIt(container: Container | null): string {
  if (!container) return 'the container is gone';
  const { OOMKilled, ExitCode } = container.State;
  return OOMKilled ? 'it was killed for want of memory' : `it ended with exit code ${ExitCode}`;
}
