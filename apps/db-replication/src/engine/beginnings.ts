import { access } from 'node:fs/promises';
import { writeFileAtomically } from '@understudy/platform';

/** Whether this server has ever had a database of its own, kept outside the database's directory. */
export class Beginnings {
  constructor(readonly file: string) {}

  async isNoted(): Promise<boolean> {
    return access(this.file).then(
      () => true,
      () => false,
    );
  }

  /** From now on a missing data directory is a loss, not a beginning. */
  async note(): Promise<void> {
    if (await this.isNoted()) return;
    await writeFileAtomically(this.file, `${JSON.stringify({ begun: new Date().toISOString() })}\n`, { mode: 0o600 });
  }
}
