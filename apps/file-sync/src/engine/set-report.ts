import type { FileSetState } from '@understudy/contracts';
import { shownPath } from '../domain/entry.ts';
import type { Aside } from './aside.ts';
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
export type ChangingView = Omit<FileSetState, 'name' | 'path' | 'class' | 'direction' | 'files' | 'bytes'>;

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
  /** Of the last look at the files of this server, and of the last run that ended. */
  private ofLook: readonly Problem[] = [];
  private ofRun: readonly Problem[] = [];
  /** Problems that people have been told of and that are not over. */
  private readonly told = new Set<string>();

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
    this.ofRun = [];
  }

  /** Files of this server had to make room. */
  kept(aside: Aside): void {
    const { kept, folder } = aside;
    if (kept.length === 0) return;
    const shown = kept.slice(0, PATHS_SHOWN).map((path) => `"${shownPath(path)}"`);
    const more = kept.length > PATHS_SHOWN ? ` and ${kept.length - PATHS_SHOWN} more` : '';
    this.tell({
      severity: 'warning',
      code: 'file-set-aside',
      message: `${this.name}: ${shown.join(', ')}${more} here were not those of the active server and were replaced; they are kept in ${folder}`,
    });
    aside.told();
  }

  /** A run has ended. */
  ran(result: RunResult, durationMs: number): void {
    const { awaiting, problems, receivedBytes } = result;
    const { name, tell } = this;
    if (awaiting !== null && this.current.awaitingDeletion === null)
      tell({
        severity: 'critical',
        code: 'deletion-to-confirm',
        message: `${name}: ${awaiting.deletions} of ${awaiting.files} files have gone at once. Nothing is changed until it is confirmed: mount the disk that is missing, or "understudy files confirm-deletion ${name}"`,
      });
    this.current = {
      ...this.current,
      reason: awaiting === null ? '' : 'waits for the confirmation of a deletion',
      ...(isComplete(result) ? { lastCompleteAt: new Date().toISOString(), pendingFiles: 0, pendingBytes: 0 } : {}),
      ...(receivedBytes > 0 ? { bytesPerSecond: Math.round((receivedBytes / Math.max(1, durationMs)) * 1000) } : {}),
      awaitingDeletion: awaiting,
    };
    this.ofRun = problems;
    this.found();
  }

  /** All files of this server were looked at. */
  looked({ problems }: ScanResult): void {
    this.ofLook = problems;
    this.found();
  }

  private found(): void {
    const problems = new Map([...this.ofLook, ...this.ofRun].map((problem) => [keyOf(problem), problem]));
    const serious = [...problems.values()].filter(({ isSkipped }) => !isSkipped);
    const errors = serious.slice(0, ERRORS_SHOWN).map(({ path, message }) => ({ path, message }));
    this.change({ errors, errorCount: serious.length });
    for (const key of this.told) if (!problems.has(key)) this.told.delete(key);
    for (const { path, message, isSkipped } of problems.values())
      this.once(path, message, isSkipped ? 'info' : 'warning', isSkipped ? 'file-skipped' : 'file-not-synchronised');
  }

  /** Says something of a path once, until it is over. */
  once(path: string, message: string, severity: Incident['severity'], code: string): void {
    const key = keyOf({ path, message });
    if (this.told.has(key) || this.told.size > 1000) return;
    this.told.add(key);
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
