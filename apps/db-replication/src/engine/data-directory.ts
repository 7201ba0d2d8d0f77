import { chown, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatLsn, parseLsn } from '@understudy/contracts';
import { syncDirectory, writeFileAtomically } from '@understudy/platform';
import { LastKnown } from '../adapters/last-known.ts';
import { ProgramFailure, type Programs } from '../adapters/programs.ts';
import { type ControlData, isCleanShutdown, parseControlData, timelineOf, wasWriter } from '../domain/control-data.ts';
import { FENCING_CONFIGURATION, withoutOwnSettings } from '../domain/server-configuration.ts';
import { parseTimelineHistory, type TimelineBranch } from '../domain/timeline-history.ts';
import { historyFileName, parseSegmentName, recordEnd, segmentName } from '../domain/wal-position.ts';
import type { TaskContext } from '../ports/task-context.ts';

/** What was found by reading WAL from a position on. */
export interface WalScan {
  /** End of the last whole record; the position itself when there is none behind it. */
  readonly end: bigint;
  /** Transactions committed in it. */
  readonly commits: number;
}

/** What lies at the path of the data directory. */
export interface DirectoryShape {
  /** There is a database in it. */
  readonly exists: boolean;
  readonly isStandby: boolean;
  /** There is something in it that is no database: never touched. */
  readonly isOccupied: boolean;
  /** A rewind was interrupted: a mixture of two servers, which must never be started. */
  readonly isHalfDone: boolean;
}

const NOTHING: DirectoryShape = { exists: false, isStandby: false, isOccupied: false, isHalfDone: false };
const LOOK_LIMIT_MS = 1000;
/** With what pg_waldump ends where the WAL does: nothing whole follows, or the next file is not there. */
const WAL_ENDS = /could not find a valid record after|error in WAL record at|could not find file/;

/** PostgreSQL's data directory as it lies on the disk. */
export class DataDirectory {
  private readonly looks = new LastKnown<DirectoryShape>(() => this.shape(), NOTHING);

  constructor(
    readonly path: string,
    private readonly programs: Programs,
    /** Lies outside the data directory, because the rewind replaces files in it. */
    private readonly rewindMark: string,
  ) {}

  /** What lies there now. Takes as long as the disk does. */
  async shape(): Promise<DirectoryShape> {
    const isHalfDone = await isThere(this.rewindMark);
    if (await this.has('PG_VERSION', join('global', 'pg_control')))
      return { exists: true, isStandby: await this.has('standby.signal'), isOccupied: false, isHalfDone };
    const names = await readdir(this.path).catch(() => []);
    const isOccupied = names.some((name) => name !== 'lost+found');
    return { exists: false, isStandby: false, isOccupied, isHalfDone };
  }

  /** What lies there; when the disk does not answer within a second, what lay there before. */
  lastShape(): Promise<DirectoryShape> {
    return this.looks.get(LOOK_LIMIT_MS);
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
    return parseControlData(await this.controlText());
  }

  /** What pg_control says, as printed. */
  controlText(): Promise<string> {
    return this.programs.run('pg_controldata', ['-D', this.path], { timeoutMs: 5000 });
  }

  /**
   * End of the WAL of a writer that was stopped in order: the end of its shutdown checkpoint, which is exactly what a standby that
   * has everything reports as flushed. Null otherwise: then only the WAL itself knows.
   */
  async endOfOrderlyWal(control: ControlData): Promise<bigint | null> {
    if (!isCleanShutdown(control) || !wasWriter(control)) return null;
    const segment = segmentName(control.checkpointTimeline, control.checkpointLsn, control.walSegmentBytes);
    const handle = await open(join(this.path, 'pg_wal', segment), 'r');
    try {
      const length = Buffer.alloc(4);
      await handle.read(length, 0, 4, Number(control.checkpointLsn % BigInt(control.walSegmentBytes)));
      return recordEnd(control.checkpointLsn, length.readUInt32LE(0), control);
    } finally {
      await handle.close();
    }
  }

  /**
   * Reads the WAL of a timeline from a position, a boundary of records, to where it ends. As long as it takes: every record is
   * progress. Rejects when it is cancelled, and when the WAL cannot be read, which is not its end.
   */
  async scanWal(timeline: number, from: bigint, control: ControlData, context: TaskContext): Promise<WalScan> {
    let end = from;
    let commits = 0;
    const { walSegmentBytes } = control;
    const first = segmentName(timeline, from, walSegmentBytes);
    const isOurs = (name: string) => parseSegmentName(name, walSegmentBytes)?.timeline === timeline;
    const names = (await this.walFiles()).filter((name) => isOurs(name) && name >= first).sort();
    const isBetweenFiles = from % BigInt(walSegmentBytes) === 0n;
    if (isBetweenFiles && names[0] !== first) return { end, commits };
    // The files are named: of itself pg_waldump takes the size of segments from any, and one that was made in advance is empty.
    const last = names.at(-1) ?? first;
    const args = ['-p', join(this.path, 'pg_wal'), '-s', formatLsn(from), first, ...(last > first ? [last] : [])];
    const onOutputLine = (line: string) => {
      const match = /len \(rec\/tot\):\s*\d+\/\s*(\d+).*?lsn: ([0-9A-F]+\/[0-9A-F]+)/.exec(line);
      if (!match) return;
      end = recordEnd(parseLsn(match[2] as string), Number(match[1]), control);
      if (line.startsWith('rmgr: Transaction') && line.includes('desc: COMMIT')) commits += 1;
      context.advance(1);
    };
    await this.programs.run('pg_waldump', args, { signal: context.signal, onOutputLine }).catch((error: unknown) => {
      if (!(error instanceof ProgramFailure) || !WAL_ENDS.test(error.output)) throw error;
    });
    return { end, commits };
  }

  /** Where its data end, after whatever end it found; read from the last checkpoint on when there is no orderly end. */
  async endOfData(control: ControlData, context: TaskContext): Promise<bigint> {
    const orderly = await this.endOfOrderlyWal(control);
    return orderly ?? (await this.scanWal(timelineOf(control), startOfScan(control), control, context)).end;
  }

  /** The timelines it went through. Throws when its own history is missing: then nothing can be said about it. */
  async branch(timeline: number): Promise<TimelineBranch> {
    const file = join(this.path, 'pg_wal', historyFileName(timeline));
    return parseTimelineHistory(timeline, timeline > 1 ? await readFile(file, 'utf8') : '');
  }

  /** It is a full copy that was never started: what its pg_control says is about another server. */
  isUnstartedCopy(): Promise<boolean> {
    return this.has('backup_label');
  }

  /** Names of the WAL files in it. */
  async walFiles(): Promise<string[]> {
    return readdir(join(this.path, 'pg_wal'));
  }

  /** Makes an empty directory that PostgreSQL's user owns, removing what is there. */
  async prepareEmpty(directory: string): Promise<void> {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o700 });
    const { owner } = this.programs;
    if (owner) await chown(directory, owner.uid, owner.gid);
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

  private async has(...names: string[]): Promise<boolean> {
    for (const name of names) if (!(await isThere(join(this.path, name)))) return false;
    return true;
  }

  private async write(name: string, text: string): Promise<void> {
    const { owner } = this.programs;
    const file = join(this.path, name);
    if ((await readFile(file, 'utf8').catch(() => null)) === text) return;
    await writeFileAtomically(file, text, { mode: 0o600, ...(owner ? { owner } : {}) });
  }
}

/** From where WAL is read: a standby is at least where it must be to be consistent, a writer at its last checkpoint. */
export function startOfScan(control: ControlData): bigint {
  const { minimumRecoveryEnd, minimumRecoveryTimeline, checkpointLsn } = control;
  const isAhead = minimumRecoveryTimeline === timelineOf(control) && minimumRecoveryEnd > checkpointLsn;
  return isAhead ? minimumRecoveryEnd : checkpointLsn;
}

/** Throws when the file system does not say: that is not "absent". */
function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
}
