import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory, writeFileAtomically } from '@understudy/platform';
import type { Programs } from '../adapters/programs.ts';
import { type ControlData, isCleanShutdown, parseControlData, timelineOf, wasWriter } from '../domain/control-data.ts';
import type { OwnPast } from '../domain/rejoin-decision.ts';
import { FENCING_CONFIGURATION, withoutOwnSettings } from '../domain/server-configuration.ts';
import { parseTimelineHistory, type TimelineBranch } from '../domain/timeline-history.ts';
import { historyFileName, laterOf, recordEnd } from '../domain/wal-position.ts';
import type { TaskContext } from '../ports/task-context.ts';

/** `xl_tot_len` of a shutdown checkpoint record up to PostgreSQL 16, for when pg_waldump cannot tell. */
const CHECKPOINT_RECORD_BYTES = 114;

/** PostgreSQL's data directory as it lies on the disk. */
export class DataDirectory {
  constructor(
    readonly path: string,
    private readonly programs: Programs,
    /** Lies outside the data directory, because the rewind replaces files in it. */
    private readonly rewindMark: string,
  ) {}

  get exists(): boolean {
    return existsSync(join(this.path, 'PG_VERSION')) && existsSync(join(this.path, 'global', 'pg_control'));
  }

  /** There is something in it that is no database: never touched. */
  get isOccupied(): boolean {
    return !this.exists && existsSync(this.path) && readdirSync(this.path).length > 0;
  }

  get isStandby(): boolean {
    return existsSync(join(this.path, 'standby.signal'));
  }

  /** A rewind was interrupted: a mixture of two servers, which must never be started. */
  get isHalfDone(): boolean {
    return existsSync(this.rewindMark);
  }

  async markHalfDone(isHalfDone: boolean): Promise<void> {
    if (isHalfDone) await writeFileAtomically(this.rewindMark, 'A rewind of the data directory is under way.\n');
    else await rm(this.rewindMark, { force: true });
  }

  /** Makes it one that starts as a standby. Durable. */
  async becomeStandby(): Promise<void> {
    await this.write('standby.signal', '');
  }

  /** What PostgreSQL reads in its directory after our own configuration must not contradict it. */
  async cleanSettings(): Promise<readonly string[]> {
    const text = await readFile(join(this.path, 'postgresql.auto.conf'), 'utf8').catch(() => '');
    const cleaned = withoutOwnSettings(text);
    if (cleaned) await this.write('postgresql.auto.conf', cleaned.text);
    await this.write('postgresql.conf', FENCING_CONFIGURATION);
    return cleaned?.removed ?? [];
  }

  /** What pg_control says. Throws when it cannot be read. */
  async control(): Promise<ControlData> {
    return parseControlData(await this.programs.run('pg_controldata', ['-D', this.path], { timeoutMs: 5000 }));
  }

  /** End of the WAL in the directory, the last record included, whether it was shut down or it crashed. */
  async endOfWal(control: ControlData): Promise<bigint> {
    const fallback = laterOf(
      recordEnd(control.checkpointLsn, CHECKPOINT_RECORD_BYTES, control),
      control.minimumRecoveryEnd,
    ) as bigint;
    let end: bigint | null = null;
    const args = ['-p', join(this.path, 'pg_wal'), '-t', String(control.checkpointTimeline)];
    args.push('-s', lsnText(control.checkpointLsn));
    // After an orderly shutdown of a writer its checkpoint is the last record.
    if (isCleanShutdown(control) && wasWriter(control)) args.push('-n', '1');
    await this.programs
      .run('pg_waldump', args, {
        timeoutMs: 120_000,
        onOutputLine: (line) => {
          const match = /len \(rec\/tot\):\s*\d+\/\s*(\d+).*?lsn: ([0-9A-F]+)\/([0-9A-F]+)/.exec(line);
          if (!match) return;
          const start = (BigInt(`0x${match[2]}`) << 32n) + BigInt(`0x${match[3]}`);
          end = recordEnd(start, Number(match[1]), control);
        },
      })
      // It always ends with an error where the WAL ends.
      .catch(() => '');
    return laterOf(end, fallback) as bigint;
  }

  branch(timeline: number): TimelineBranch {
    if (timeline === 1) return parseTimelineHistory(1, '');
    const file = join(this.path, 'pg_wal', historyFileName(timeline));
    return parseTimelineHistory(timeline, existsSync(file) ? readFileSync(file, 'utf8') : '');
  }

  /** Everything a decision about rejoining needs. The directory must not be running. */
  async past(): Promise<OwnPast> {
    const control = await this.control();
    const timeline = timelineOf(control);
    return {
      systemIdentifier: control.systemIdentifier,
      timeline,
      branch: this.branch(timeline),
      endOfWal: await this.endOfWal(control),
      wasWriter: wasWriter(control) && !this.isStandby,
      isHalfDone: this.isHalfDone,
      canRewind: control.dataChecksums || control.walLogHints,
      redoLsn: control.redoLsn,
    };
  }

  /** Names of the WAL files in it. */
  async walFiles(): Promise<string[]> {
    return readdir(join(this.path, 'pg_wal'));
  }

  /** Makes an empty directory that PostgreSQL's user owns, removing what is there. */
  async prepareEmpty(directory: string): Promise<void> {
    await rm(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
    const { owner } = this.programs;
    if (owner) chownSync(directory, owner.uid, owner.gid);
    await syncDirectory(join(directory, '..'));
  }

  /** Makes an empty database: beside the directory first, so that an interrupted initdb leaves nothing in it. */
  async initialise(context: TaskContext): Promise<void> {
    context.step('making an empty database');
    const fresh = `${this.path}.new`;
    await this.prepareEmpty(fresh);
    const args = ['-D', fresh, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--data-checksums'];
    await this.programs.run('initdb', args, { signal: context.signal, onOutputLine: () => context.advance(1) });
    await rename(fresh, this.path);
    await syncDirectory(dirname(this.path));
  }

  private async write(name: string, text: string): Promise<void> {
    const { owner } = this.programs;
    const file = join(this.path, name);
    if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
    await writeFileAtomically(file, text, { mode: 0o600, ...(owner ? { owner } : {}) });
  }
}

function lsnText(position: bigint): string {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`;
}
