import { readFile } from 'node:fs/promises';
import { type ReadinessReport, ReadinessReportSchema } from '@understudy/contracts';
import { type Logger, writeFileAtomically } from '@understudy/platform';
import type { ReportStore } from '../ports/report-store.port.ts';

/** The newest report as a file. A disk that is full costs what is kept over a restart, not the report itself. */
export class ReportFile implements ReportStore {
  private inMemory: ReadinessReport | null = null;

  constructor(
    private readonly file: string,
    private readonly logger: Logger,
  ) {}

  async latest(): Promise<ReadinessReport | null> {
    this.inMemory ??= await this.read();
    return this.inMemory;
  }

  async keep(report: ReadinessReport): Promise<void> {
    this.inMemory = report;
    await writeFileAtomically(this.file, `${JSON.stringify(report)}\n`).catch((error: unknown) =>
      this.logger.warn('The readiness report could not be kept', { error }),
    );
  }

  private async read(): Promise<ReadinessReport | null> {
    try {
      return ReadinessReportSchema.parse(JSON.parse(await readFile(this.file, 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.logger.warn('The readiness report of an earlier run cannot be read', { error });
      return null;
    }
  }
}
