import type { ReadinessReport } from '@understudy/contracts';

/** Keeps the newest report. */
export interface ReportStore {
  /** Null when there is none, or none that can be read. */
  latest(): Promise<ReadinessReport | null>;
  keep(report: ReadinessReport): Promise<void>;
}
