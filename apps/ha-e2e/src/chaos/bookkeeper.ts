import { monotonicMs, pause } from '../real-pair/deadline.ts';
import {
  type Account,
  accountFor,
  PRESENT_ROWS,
  type PresentRows,
  presentRows,
  type SetAsidePart,
} from './accounting.ts';
import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';
import type { ChaosPair } from './chaos-pair.ts';
import { clearSetAside, readCommits, setAsideFolders } from './set-aside-folders.ts';

const QUERY_MS = 20_000;
/** The standby replays, and events are told, a moment later. */
const CATCH_UP_MS = 15_000;

/** Keeps the account of the rows of one pair over its life. */
export class Bookkeeper {
  private readonly parts: SetAsidePart[] = [];

  constructor(private readonly chaos: ChaosPair) {}

  /** Looks for every row that was acknowledged up to now, while the pair is at rest. Rejects when a database does not answer. */
  async account(active: ServerName): Promise<Account> {
    const { writes } = this.chaos;
    await this.takeIn();
    const endMs = monotonicMs() + CATCH_UP_MS;
    for (;;) {
      const databases = {
        active: await this.rowsOf(active),
        standby: await this.rowsOf(active === 'alpha' ? 'beta' : 'alpha'),
      };
      const account = accountFor(writes, databases, this.parts);
      const isComplete = account.missingOnStandby.length === 0 && account.unnamed.length === 0;
      if (isComplete || monotonicMs() > endMs) return account;
      await pause(500);
      await this.takeIn();
    }
  }

  private async rowsOf(name: ServerName): Promise<PresentRows> {
    return presentRows(await this.chaos.server(name).query(PRESENT_ROWS, QUERY_MS));
  }

  /** Reads what was set aside meanwhile, and removes it once an event has named it: an operator who has looked does so. */
  private async takeIn(): Promise<void> {
    for (const [server, story] of Object.entries(this.chaos.stories) as [ServerName, ChaosPair['stories']['alpha']][]) {
      await story.refresh();
      for (const folder of setAsideFolders(`${this.chaos.server(server).dataDirectory}/set-aside`)) {
        const index = this.parts.findIndex((part) => part.folder === folder && part.server === server);
        const commits = this.parts[index]?.commits ?? (await readCommits(folder));
        const part = { server, folder, commits, isNamed: story.names(folder) };
        if (index < 0) this.parts.push(part);
        else this.parts[index] = part;
        if (part.isNamed) clearSetAside(folder);
      }
    }
  }
}

/** Some rows in words, for a report. */
export function describeWrites(writes: readonly AcknowledgedWrite[]): string {
  const groups = Object.values(
    Object.groupBy(writes, ({ run, server, timeline }) => `${run} on ${server}, timeline ${timeline}`),
  ).map((rows = []) => {
    const [first, last] = [rows[0], rows.at(-1)] as [AcknowledgedWrite, AcknowledgedWrite];
    const sequences = first === last ? `row ${first.sequence}` : `rows ${first.sequence} to ${last.sequence}`;
    return `${first.run} on ${first.server}, timeline ${first.timeline}: ${rows.length} (${sequences}, transactions ${first.transaction} to ${last.transaction}, acknowledged at ${first.acknowledgedMs.toFixed(0)} to ${last.acknowledgedMs.toFixed(0)} ms)`;
  });
  return groups.join('; ');
}
