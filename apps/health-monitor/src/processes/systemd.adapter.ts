import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import type { Clock } from '@understudy/platform';
import type { KnownLeader, ProcessAdapter, Run } from './process-adapter.ts';
import { endAll } from './process-group.ts';
import { orGone } from './process-life.ts';
import { identify, membersOf, type ProcessIdentity } from './process-table.ts';
import type { Systemctl, UnitState } from './systemctl.ts';
import type { UnitFiles } from './unit-files.ts';

/** A unit that says itself when it is ready may take so long. */
const START_LIMIT_MS = 60_000;
/** Beyond the grace time, for systemd's own killing. */
const STOP_LIMIT_MS = 10_000;
const AT_REST = ['inactive', 'failed'];

/** One unit of systemd. */
export interface Unit {
  readonly name: string;
  readonly stopSeconds: number;
  /** In the environment of all that it starts; see `APPLICATION_MARK`. */
  readonly mark: string;
  readonly files: UnitFiles;
}

/**
 * Runs a unit of systemd, which keeps its output in the journal. A drop-in takes away from systemd what is decided here: when it is
 * started, also at boot, and whether it is restarted. Decision: docs/decisions/0020-units-and-containers.md.
 */
export class SystemdAdapter implements ProcessAdapter {
  readonly kind = 'systemd';
  readonly digest: string;

  constructor(
    private readonly unit: Unit,
    private readonly systemctl: Systemctl,
    private readonly clock: Clock,
  ) {
    const { dropIn, environment } = unit.files;
    this.digest = createHash('sha256')
      .update(JSON.stringify([unit.name, dropIn, environment]))
      .digest('hex');
  }

  async launch(signal: AbortSignal): Promise<Run> {
    const { name, files } = this.unit;
    const startedAtMs = this.clock.nowMs();
    await this.tie();
    files.allow();
    await this.systemctl.run(['reset-failed', name]).catch(() => undefined);
    await this.systemctl.run(['start', name], { limitMs: START_LIMIT_MS, signal });
    const state = await this.systemctl.show(name);
    if (AT_REST.includes(state.ActiveState))
      return { identity: null, startedAtMs, ended: Promise.resolve(howIt(state)) };
    const identity = identify(Number(state.MainPID));
    if (!identity) throw new Error(`${name} has no main process that could be watched`);
    return { identity, startedAtMs, ended: this.ended(identity, signal) };
  }

  async ended(identity: ProcessIdentity, signal: AbortSignal): Promise<string> {
    await orGone(identity, null, signal);
    return this.systemctl.show(this.unit.name).then(howIt, () => 'it has ended');
  }

  async end(graceMs: number, leader: KnownLeader | null): Promise<void> {
    const { name, files, mark } = this.unit;
    files.forbid();
    const find = () => membersOf(mark, leader?.identity ?? null, leader?.wasSeen ?? false);
    // without grace nothing waits for systemd
    if (graceMs <= 0) await endAll(find, 0);
    const stopped = await this.stop(graceMs).catch((error: Error) => error);
    await endAll(find, 0);
    if (stopped instanceof Error && leader === null && !(await this.isAbsent()))
      throw new Error(`it cannot be told whether ${name} runs: ${stopped.message}`);
  }

  async keepStopped(): Promise<readonly string[]> {
    const { name, files, stopSeconds } = this.unit;
    files.forbid();
    await this.tie();
    const { ActiveState } = await this.systemctl.show(name);
    if ([...AT_REST, 'deactivating'].includes(ActiveState)) return [];
    await this.end(stopSeconds * 1000, null);
    return [`was started by others, and has been stopped: ${name} runs on the active server only`];
  }

  private async stop(graceMs: number): Promise<void> {
    const { name } = this.unit;
    if (graceMs <= 0) await this.systemctl.run(['kill', '--signal=SIGKILL', name]).catch(() => undefined);
    await this.systemctl.run(['stop', name], { limitMs: graceMs + STOP_LIMIT_MS }).catch(() => undefined);
    const { ActiveState } = await this.systemctl.show(name);
    if (!AT_REST.includes(ActiveState)) throw new Error(`it is ${ActiveState}`);
  }

  /** Makes sure that systemd knows that the unit is ours. Rejects when there is no such unit. */
  private async tie(): Promise<void> {
    const { name, files } = this.unit;
    const { FragmentPath } = await this.systemctl.show(name);
    if (FragmentPath === '') throw new Error(`there is no unit ${name}`);
    await files.writeDropIn();
    const { NeedDaemonReload } = await this.systemctl.show(name);
    if (NeedDaemonReload === 'yes') await this.systemctl.run(['daemon-reload'], { limitMs: START_LIMIT_MS });
  }

  /** systemd runs, and has no such unit; or there is no systemd here that could run one. */
  private async isAbsent(): Promise<boolean> {
    return this.systemctl.show(this.unit.name).then(
      ({ FragmentPath }) => FragmentPath === '',
      (error: Error) => /ENOENT|not been booted with systemd/.test(error.message),
    );
  }
}

/** As systemd tells of the end of a main process: CLD_EXITED, CLD_KILLED, CLD_DUMPED and a code or signal. */
function howIt({ ExecMainCode, ExecMainStatus }: UnitState): string {
  const status = Number(ExecMainStatus);
  if (ExecMainCode === '1') return `it ended with exit code ${status}`;
  const signal = Object.entries(constants.signals).find(([, number]) => number === status)?.[0];
  return ExecMainCode === '2' || ExecMainCode === '3'
    ? `it was ended by ${signal ?? `signal ${status}`}`
    : 'it has ended';
}
