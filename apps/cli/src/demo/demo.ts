import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HaConfigurationView, StatusView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import { waitForOperation } from '../client/operation.ts';
import { waitUntilStarted } from '../client/wait-until-started.ts';
import { haStatusLine } from '../rendering/ha-status.ts';
import { type DemoPlan, type DemoServer, planDemo } from './demo-plan.ts';
import { RunningDemoServer } from './demo-server.ts';
import { welcome } from './demo-text.ts';

const ANSWER_MS_MAX = 90_000;
const SETTLED_MS_MAX = 180_000;
const LOOK_MS = 250;

/** Pairs of states in which the demonstration is ready. */
const SETTLED = [
  ['Primary Active', 'Secondary Syncing'],
  ['Primary Syncing', 'Secondary Active'],
];

/** The demonstration: a registered pair on this machine, until it is stopped. */
export class Demo {
  private readonly servers: readonly RunningDemoServer[];
  private isStopping = false;

  private constructor(
    private readonly plan: DemoPlan,
    root: string,
    private readonly log: (line: string) => void,
  ) {
    this.servers = plan.servers.map((server) => new RunningDemoServer(server, root));
  }

  /** Prepares the directory; `isReset` throws away what an earlier start left. */
  static async prepare(
    { directory, root, isReset }: { directory: string; root: string; isReset: boolean },
    log: (line: string) => void,
  ): Promise<Demo> {
    refuseSecond(directory);
    await clearAway(directory, root, log);
    if (isReset) reset(directory);
    const demo = new Demo(await planDemo(directory, root), root, log);
    writeFileSync(join(directory, 'demo.pid'), `${process.pid}\n`);
    return demo;
  }

  /** Brings the pair to its everyday states and says what to try. Rejects with the reason when that takes too long. */
  async start(): Promise<void> {
    const began = performance.now();
    for (const each of this.servers) {
      each.onEnd = (code) => this.ended(each.server, code);
      each.start();
    }
    this.log(
      `Starting ${this.plan.servers.map(({ name, role, address }) => `${name} (${role}, ${address})`).join(' and ')} ...`,
    );
    for (const each of this.servers) {
      await this.within(
        ANSWER_MS_MAX,
        `${each.server.name} did not answer`,
        async () => (await each.status()) !== null,
      );
    }
    await this.register().catch((error: unknown) => this.explain((error as Error).message));
    await this.within(SETTLED_MS_MAX, 'the pair did not reach its states', async () => {
      const states = (await this.statuses()).map((status) => status?.state ?? '');
      return SETTLED.some((pair) => pair.every((state, index) => state === states[index]));
    });
    this.log(welcome(this.plan, await this.statuses(), (performance.now() - began) / 1000));
  }

  /** The server that stands by first: what is left never has a reason to take over. */
  async stop(): Promise<void> {
    if (this.isStopping) return;
    this.isStopping = true;
    const statuses = await this.statuses();
    const order = [...this.servers].sort((a, b) => rank(a) - rank(b));
    for (const each of order) {
      if (each.isRunning) this.log(`Stopping ${each.server.name} ...`);
      await each.stop();
    }
    rmSync(join(this.plan.directory, 'demo.pid'), { force: true });

    function rank({ server }: RunningDemoServer): number {
      return statuses.some((status) => status?.node.name === server.name && status.currentRole === 'active') ? 1 : 0;
    }
  }

  /** One line typed by the operator. */
  async perform(line: string): Promise<void> {
    const [verb = '', name = ''] = line.trim().toLowerCase().split(/\s+/);
    if (verb === 'status') {
      for (const [index, status] of (await this.statuses()).entries()) {
        this.log(status ? haStatusLine(status) : `${this.plan.servers[index]?.name} does not answer`);
      }
      return;
    }
    const each = this.servers.find(({ server }) => server.name === name);
    if (!each || (verb !== 'kill' && verb !== 'start')) throw new Error('unknown');
    if (verb === 'start' && each.isRunning) this.log(`${name} runs already.`);
    else if (verb === 'kill') {
      await each.kill();
      this.log(`Killed: every process of ${name}. Watch with "status"; "start ${name}" brings it back.`);
    } else {
      each.start();
      this.log(`Starting ${name} ...`);
    }
  }

  private async register(): Promise<void> {
    const [primary] = this.servers as [RunningDemoServer, RunningDemoServer];
    const client = await primary.client();
    const { configured } = await client.get<HaConfigurationView>('/ha/configuration');
    if (configured) return;
    await waitUntilStarted(client, () => undefined);
    this.log('Registering the pair ...');
    const { operationId } = await client.ask<{ operationId: string }>('PUT', '/ha/configuration', {
      secondaryAddress: this.plan.servers[1].address,
      authenticationKey: this.plan.authenticationKey,
      failoverType: 'automatic',
      emailAddresses: [],
    });
    let step = '';
    await waitForOperation(client, operationId, (operation) => {
      if (operation.step !== step) this.log(`  ${operation.step}`);
      step = operation.step;
    });
  }

  private statuses(): Promise<(StatusView | null)[]> {
    return Promise.all(this.servers.map((each) => (each.isRunning ? each.status() : null)));
  }

  private async within(limitMs: number, what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!(await holds())) {
      const ended = this.servers.find(({ isRunning }) => !isRunning);
      const reason = ended ? `${ended.server.name} ended` : `${what} within ${limitMs / 1000} s`;
      if (ended || performance.now() > deadline) this.explain(reason);
      if (this.isStopping) throw new CliError(EXIT.done, '');
      await sleep(LOOK_MS);
    }
  }

  private explain(reason: string): never {
    throw new CliError(EXIT.refused, [reason, ...this.trouble()].join('\n'));
  }

  private trouble(): string[] {
    return this.servers.flatMap((each) => {
      const lines = each.trouble().map((line) => `  ${line}`);
      return lines.length > 0 ? [`${each.server.name} (${each.server.logFile}):`, ...lines] : [];
    });
  }

  private ended({ name }: DemoServer, code: number | null): void {
    if (!this.isStopping) this.log(`${name} ended (exit code ${code ?? 'none'}); "start ${name}" brings it back.`);
  }
}

function refuseSecond(directory: string): void {
  const file = join(directory, 'demo.pid');
  if (!existsSync(file)) return;
  const pid = readFileSync(file, 'utf8').trim();
  try {
    if (!/demo\/main\.js/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')) || Number(pid) === process.pid) return;
  } catch {
    return;
  }
  throw new CliError(EXIT.usage, `The demonstration in ${directory} runs already (process ${pid}).`);
}

async function clearAway(directory: string, root: string, log: (line: string) => void): Promise<void> {
  for (const name of ['alpha', 'beta'] as const) {
    const configurationFile = join(directory, `${name}.yaml`);
    if (!existsSync(configurationFile)) continue;
    const left: DemoServer = {
      name,
      role: name === 'alpha' ? 'primary' : 'secondary',
      address: '',
      configurationFile,
      dataDirectory: join(directory, name),
      logFile: join(directory, `${name}.log`),
    };
    if (await new RunningDemoServer(left, root).clearAway()) log(`Stopped what an earlier start left of ${name}.`);
  }
}

/** Removes only what a start made: the directory may be one the user named, and hold something else. */
function reset(directory: string): void {
  for (const name of ['alpha', 'beta']) {
    const ours = existsSync(join(directory, `${name}.yaml`));
    if (!ours && existsSync(join(directory, name)))
      throw new CliError(
        EXIT.usage,
        `${join(directory, name)} is not of the demonstration (there is no ${name}.yaml beside it): move it away, or choose another UNDERSTUDY_DEMO_DIRECTORY.`,
      );
  }
  for (const name of ['alpha', 'beta', 'alpha.yaml', 'beta.yaml', 'alpha.log', 'beta.log', 'ports.json', 'auth.key']) {
    rmSync(join(directory, name), { recursive: true, force: true });
  }
  mkdirSync(directory, { recursive: true });
}
