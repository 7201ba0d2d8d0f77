import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventView, OperationView, StatusView } from '@understudy/contracts';
import type { StateLabel } from '../procedures/state-sequences.ts';
import { until } from './deadline.ts';
import type { Host } from './host.ts';
import { HostAgent, type HttpAnswer } from './host-agent.ts';
import type { NamespaceProcess } from './namespaces.ts';
import {
  configurationFileOf,
  dataDirectoryOf,
  type ServerDescription,
  writeConfiguration,
} from './node-configuration.ts';
import { REPOSITORY } from './node-scripts.ts';
import { StateHistory } from './state-history.ts';

/** How the services of a server are laid out in processes. */
export type Layout = 'separate' | 'composed';

/** What became of a request for long work. */
export type Outcome =
  | { readonly accepted: true; readonly operationId: string }
  | { readonly accepted: false; readonly status: number; readonly detail: string };

/** The harness's own processes on a host. */
const HARNESS_SCRIPTS = /\/(agent|writer|span-receiver)-process\.[jt]s( |$)/;
const ENTRY_POINT = join(REPOSITORY, 'bin/understudy');

/** One server of the product on a host of the stage, driven through its public contract: configuration file, command line, REST. */
export class UnderstudyServer {
  readonly host: Host;
  readonly description: ServerDescription;
  readonly layout: Layout;
  readonly history = new StateHistory();
  private agent: HostAgent | undefined;
  private runner: ChildProcess | undefined;
  private token: string | undefined;

  constructor(host: Host, description: ServerDescription, layout: Layout) {
    this.host = host;
    this.description = description;
    this.layout = layout;
  }

  get dataDirectory(): string {
    return dataDirectoryOf(this.host, this.description);
  }

  /**
   * Starts what an init system would start when the host boots. Returns at once. `binds`: files shown to it in place of others; `node`: other
   * values in that section of its configuration.
   */
  boot({ node, ...options }: { readonly binds?: Readonly<Record<string, string>>; readonly node?: object } = {}): void {
    const configuration = writeConfiguration(this.host, this.description, node);
    const command = [ENTRY_POINT, 'node', 'run', '--config', configuration, '--layout', this.layout];
    this.runner = this.host.start(command, { log: `${this.description.name}.log`, ...options });
  }

  /** Waits until a server that is not paired can be: a primary has to serve alone first. */
  async canBePaired(options: { readonly withinMs: number }): Promise<void> {
    await this.shows('that it can be paired', options, ({ state, availableActions, activity }) =>
      this.description.role === 'primary'
        ? availableActions.includes('register')
        : state === 'HA Not Configured' && activity === null,
    );
  }

  /** Waits until the server's record says since when it has been in sync: it does a second after that. */
  async recordsThatItIsInSync(options: { readonly withinMs: number }): Promise<void> {
    const record = join(this.dataDirectory, 'journal', 'decisions');
    await until(`${this.description.name} records that it is in sync`, options, () =>
      /"lastInSyncUnixMs":\d/.test(readFileSync(record, 'latin1')),
    );
  }

  /** Asks `node run` to end, as an init system does, and waits until every process of the server is gone. */
  async stop(options: { readonly withinMs: number }): Promise<void> {
    if (this.runner?.pid) process.kill(this.runner.pid, 'SIGTERM');
    await until(`${this.description.name} stops`, options, () => this.processes().length === 0);
  }

  /** Cable out, every process of the host killed, sockets and addresses gone. */
  die(): void {
    this.host.die();
    this.agent = undefined;
  }

  /** All that the server has on its disk is removed, as by an installation afresh. It must have been stopped. */
  loseEverything(): void {
    rmSync(this.dataDirectory, { recursive: true });
    this.history.beginsAnew();
    this.token = undefined;
  }

  /** Runs `understudy` on this server to its end, for this server. */
  commandLine(
    args: readonly string[],
    timeoutMs: number,
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    const configuration = writeConfiguration(this.host, this.description);
    return this.host.run([ENTRY_POINT, ...args, '--config', configuration], { timeoutMs });
  }

  /** The server's processes: the host's without the harness's own. */
  processes(): NamespaceProcess[] {
    return this.host.processes().filter(({ commandLine }) => !HARNESS_SCRIPTS.test(commandLine));
  }

  /** Runs a command of the command line on the server itself, to its end. */
  command(...words: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    const configuration = configurationFileOf(this.host, this.description);
    return this.host.run([ENTRY_POINT, ...words, '--config', configuration]);
  }

  /** The status, null when the server does not answer in time. */
  async status(): Promise<StatusView | null> {
    try {
      const answer = await this.rest('GET', '/ha/status', { timeoutMs: 3000 });
      return answer.status === 200 ? (answer.json as StatusView) : null;
    } catch {
      return null;
    }
  }

  /** A REST request below /api/v1 with the server's own token. Rejects when there is no answer. */
  async rest(
    method: string,
    path: string,
    options: { readonly body?: unknown; readonly timeoutMs?: number } = {},
  ): Promise<HttpAnswer> {
    const url = `https://${this.host.address}:8082/api/v1${path}`;
    this.token ??= this.readToken();
    const answer = await this.asker().http(method, url, { ...options, ...(this.token ? { token: this.token } : {}) });
    if (answer.status === 401) this.token = undefined;
    return answer;
  }

  /** Asks for long work. Being refused is an outcome, not an error. */
  async ask(method: string, path: string, body: unknown): Promise<Outcome> {
    const { status, json, body: text } = await this.rest(method, path, { body, timeoutMs: 30_000 });
    if (status === 202) return { accepted: true, operationId: (json as { operationId: string }).operationId };
    return { accepted: false, status, detail: (json as { detail?: string } | undefined)?.detail ?? text };
  }

  /** Waits until an operation has ended, well or not. */
  async ended(operationId: string, options: { readonly withinMs: number }): Promise<OperationView> {
    return until(`operation ${operationId} ends`, options, async () => {
      const { status, json, body } = await this.rest('GET', `/operations/${operationId}`);
      if (status !== 200) throw new Error(`GET /operations: ${status} ${body}`);
      const operation = json as OperationView;
      return operation.state === 'running' ? undefined : operation;
    });
  }

  /** Asks for long work and waits until it has succeeded. Throws with the reason when it was refused or failed. */
  async perform(
    path: string,
    body: unknown,
    options: { readonly withinMs: number; readonly method?: string },
  ): Promise<void> {
    const method = options.method ?? 'POST';
    const outcome = await this.ask(method, path, body);
    if (!outcome.accepted) throw new Error(`${method} ${path} was refused with ${outcome.status}: ${outcome.detail}`);
    const operation = await this.ended(outcome.operationId, options);
    if (operation.state !== 'succeeded') {
      throw new Error(`${operation.kind} ${operation.state} at "${operation.step}": ${operation.error}`);
    }
  }

  /** Asks for long work that is expected to be refused or to fail, and returns the reason. Throws when it succeeds. */
  async refusal(method: string, path: string, body: unknown, options: { readonly withinMs: number }): Promise<string> {
    const outcome = await this.ask(method, path, body);
    if (!outcome.accepted) return outcome.detail;
    const operation = await this.ended(outcome.operationId, options);
    if (operation.state === 'succeeded') throw new Error(`${method} ${path} succeeded`);
    return operation.error ?? '';
  }

  /** Waits until the server enters `state` (again) after the state waited for last. States of short life are not missed. */
  async reaches(state: StateLabel, options: { readonly withinMs: number }): Promise<void> {
    await until(`${this.description.name} reaches ${state}`, options, async () => {
      await this.refreshHistory();
      return this.history.moveTo(state);
    });
  }

  /** Waits until the server's status satisfies `holds`; returns that status. */
  async shows(
    what: string,
    options: { readonly withinMs: number },
    holds: (status: StatusView) => boolean,
  ): Promise<StatusView> {
    return until(`${this.description.name} shows ${what}`, options, async () => {
      const seen = await this.status();
      if (seen !== null && holds(seen)) return seen;
      throw new Error(seen === null ? 'no answer' : summaryOf(seen));
    });
  }

  /** Waits until the server is in `state`. */
  async is(state: StateLabel, options: { readonly withinMs: number }): Promise<StatusView> {
    return this.shows(state, options, (status) => status.state === state);
  }

  /** Makes the present state the beginning of what reaches() and the history's sinceMark() look at. */
  async mark(): Promise<void> {
    if (this.host.isPowered) await this.tellsItsEvents({ withinMs: 10_000 });
    this.history.mark();
  }

  /** Waits until the event log was taken over: the bus is away for a moment when the peer changes. */
  async tellsItsEvents(options: { readonly withinMs: number }): Promise<void> {
    await until(`${this.description.name} tells its events`, options, async () => {
      await this.refreshHistory();
      return true;
    });
  }

  /** Takes over what the event log has gained. Rejects when the server does not answer. */
  async refreshHistory(): Promise<void> {
    const since = this.history.lastEventId;
    const { status, json, body } = await this.rest(
      'GET',
      `/ha/events?limit=1000${since === null ? '' : `&since=${since}`}`,
    );
    if (status !== 200) throw new Error(`GET /ha/events: ${status} ${body}`);
    this.history.add(eventsOf(json).toSorted((a, b) => a.id - b.id));
  }

  /** Runs SQL on this server's database as the superuser, asked from the server itself. */
  async query(sql: string, timeoutMs?: number): Promise<(string | null)[][]> {
    return this.asker().query(this.host.address, 5432, sql, timeoutMs);
  }

  /** Process id of `node run`, null when it has ended or was never started. */
  runnerPid(): number | null {
    const hasEnded = this.runner === undefined || this.runner.exitCode !== null || this.runner.signalCode !== null;
    return hasEnded ? null : (this.runner?.pid ?? null);
  }

  /** Process id of the running postmaster. Throws when there is none. */
  postmasterPid(): number {
    const file = join(this.dataDirectory, 'postgresql', 'postmaster.pid');
    const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
    if (!this.host.processes().some((process) => process.pid === pid)) throw new Error(`no postmaster ${pid}`);
    return pid;
  }

  /** Process id of one of the server's services, or of `nats-server` or `redis-server`. Throws when it does not run. */
  servicePid(name: string): number {
    const isIt = ({ name: shortName, commandLine }: NamespaceProcess) =>
      name.endsWith('-server') ? shortName === name : commandLine === `understudy-${name}`;
    const found = this.processes().find(isIt);
    if (!found) throw new Error(`${name} does not run on ${this.description.name}`);
    return found.pid;
  }

  /** Makes the decision journal one that no health monitor can open; returns what makes it whole again. */
  breakJournal(): () => void {
    const directory = join(this.dataDirectory, 'journal');
    renameSync(directory, `${directory}.kept`);
    writeFileSync(directory, 'no directory can be made here');
    return () => {
      rmSync(directory);
      renameSync(`${directory}.kept`, directory);
    };
  }

  /** Removes what the server remembers of its decisions, as a lost disk would; its node store too where `withStore`. */
  loseRecord({ withStore }: { readonly withStore: boolean }): void {
    for (const name of withStore ? ['journal', 'redis'] : ['journal'])
      rmSync(join(this.dataDirectory, name), { recursive: true, force: true });
  }

  private asker(): HostAgent {
    if (!this.agent?.isAlive) this.agent = new HostAgent(this.host);
    return this.agent;
  }

  private readToken(): string | undefined {
    const file = join(this.dataDirectory, 'run', 'cli-token');
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
  }
}

function eventsOf(json: unknown): EventView[] {
  const list = Array.isArray(json) ? json : (json as { events?: EventView[] } | undefined)?.events;
  if (!Array.isArray(list)) throw new Error('GET /ha/events: not a list');
  return list;
}

/** The parts of a status that tell why something does not come about. */
function summaryOf({
  state,
  stateReason,
  peer,
  database,
  automaticFailover,
  unavailableActions,
  operation,
}: StatusView): string {
  const peerText = peer && `${peer.name} ${peer.reachable ? 'reachable' : 'unreachable'} in ${peer.state}`;
  const reasons = unavailableActions.map(({ action, reason }) => `${action}: ${reason}`).join('; ');
  return `${state} (${stateReason}); peer ${peerText}; database ${database.role}, streaming ${database.streaming}; ${
    automaticFailover.reason
  }; ${operation ? `operation ${operation.kind} at ${operation.step}; ` : ''}${reasons}`;
}
