import type { FileSetView } from '@understudy/contracts';
import { type Problem, type ScanResult } from './scanner.ts';
import type { RunResult } from './sync-run.ts';

const ERRORS_SHOWN = 100;
const PATHS_SHOWN = 5;

/** What an operator should read. */
export interface Incident {
  readonly severity: 'info' | 'warning' | 'critical';
  readonly code: string;
  readonly message: string;
}

/** What changes of a set's view while it is kept the same. */
export type ChangingView = Omit<FileSetView, 'name' | 'path' | 'class' | 'direction' | 'files' | 'bytes'>;

/** What people see of one set, and what is said to them. */
export class SetReport {
  private current: ChangingView = {
    reason: '',
    lastRunAt: null,
    lastCompleteAt: null,
    pendingFiles: 0,
    pendingBytes: 0,
    bytesPerSecond: null,
    errors: [],
    errorCount: 0,
    awaitingDeletion: null,
  };
  private lastProblems = new Set<string>();

  constructor(
    private readonly name: string,
    private readonly tell: (incident: Incident) => void,
  ) {}

  get view(): ChangingView {
    return this.current;
  }

  change(part: Partial<ChangingView>): void {
    this.current = { ...this.current, ...part };
  }

  /** The direction is another one: what was pending or wrong is over. */
  turned(): void {
    const nothing = { pendingFiles: 0, pendingBytes: 0, errors: [], errorCount: 0, awaitingDeletion: null };
    this.change({ ...nothing, reason: '' });
  }

  /** A run has ended. */
  ran(result: RunResult, durationMs: number): void {
    const { awaiting, problems, receivedBytes, kept } = result;
    const { name, tell } = this;
    if (awaiting !== null && this.current.awaitingDeletion === null)
      tell({
        severity: 'critical',
        code: 'deletion-to-confirm',
        message: `${name}: ${awaiting.deletions} of ${awaiting.files} files have gone at once. Nothing is changed until it is confirmed: mount the disk that is missing, or "understudy files confirm-deletion ${name}"`,
      });
    if (kept !== null) {
      const shown = kept.paths.slice(0, PATHS_SHOWN).map((path) => Buffer.from(path, 'latin1').toString());
      const more = kept.paths.length > PATHS_SHOWN ? ` and ${kept.paths.length - PATHS_SHOWN} more` : '';
      tell({
        severity: 'warning',
        code: 'file-set-aside',
        message: `${name}: ${shown.map((path) => JSON.stringify(path)).join(', ')}${more} here were not those of the active server and were replaced; they are kept in ${kept.folder}`,
      });
    }
    this.current = {
      ...this.current,
      reason: awaiting === null ? '' : 'waits for the confirmation of a deletion',
      ...(isComplete(result) ? { lastCompleteAt: new Date().toISOString(), pendingFiles: 0, pendingBytes: 0 } : {}),
      ...(receivedBytes > 0 ? { bytesPerSecond: Math.round((receivedBytes / Math.max(1, durationMs)) * 1000) } : {}),
      awaitingDeletion: awaiting,
      errors: problems.slice(0, ERRORS_SHOWN).map(({ path, message }) => ({ path, message })),
      errorCount: problems.length,
    };
    for (const { path, message } of problems) this.once(path, message, 'warning', 'file-not-synchronised');
  }

  /** All files of this server were looked at. */
  looked({ problems }: ScanResult): void {
    const serious = problems.filter(({ isSkipped }) => !isSkipped);
    this.current = { ...this.current, errors: serious.slice(0, ERRORS_SHOWN), errorCount: serious.length };
    const before = this.lastProblems;
    this.lastProblems = new Set([...before].filter((key) => problems.some((problem) => keyOf(problem) === key)));
    for (const { path, message, isSkipped } of problems)
      this.once(path, message, isSkipped ? 'info' : 'warning', isSkipped ? 'file-skipped' : 'file-not-synchronised');
  }

  /** Says something of a path once, until it is over. */
  once(path: string, message: string, severity: Incident['severity'], code: string): void {
    const key = keyOf({ path, message });
    if (this.lastProblems.has(key) || this.lastProblems.size > 1000) return;
    this.lastProblems.add(key);
    this.tell({ severity, code, message: `${this.name}: ${path}: ${message}` });
  }
}

/** Whether a run has left nothing undone. */
export function isComplete({ awaiting, problems }: RunResult): boolean {
  return awaiting === null && problems.length === 0;
}

function keyOf({ path, message }: Pick<Problem, 'path' | 'message'>): string {
  return `${path}\n${message}`;
}
