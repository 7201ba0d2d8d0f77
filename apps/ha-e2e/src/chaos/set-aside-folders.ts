import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { postgresBinDirectory } from '../real-pair/plain-postgres.ts';
import { commitKey } from './accounting.ts';

/** What `facts.json` of a set-aside folder says of the history in it, as far as it is needed to read it. */
interface Facts {
  readonly divergedFrom: { readonly timeline: number; readonly lsn: string };
  readonly ownEnd: { readonly timeline: number; readonly lsn: string };
  /** This server's timelines, oldest first; `end` is null on the last. */
  readonly ownBranch: readonly { readonly timeline: number; readonly end: string | null }[];
}

/** A stretch of WAL on one timeline: `pg_waldump -t timeline -s start [-e end]`. */
export interface Stretch {
  readonly timeline: number;
  readonly start: string;
  readonly end: string | null;
}

/** The stretches of WAL that exist on that server only, one for each of its timelines from the divergence on. */
export function stretchesOf({ divergedFrom, ownEnd, ownBranch }: Facts): Stretch[] {
  const later = ownBranch.filter(({ timeline }) => timeline > divergedFrom.timeline);
  const branch = ownBranch.find(({ timeline }) => timeline === divergedFrom.timeline);
  const first = { timeline: divergedFrom.timeline, end: branch?.end ?? null };
  return [first, ...later].map(({ timeline, end }, index, all) => ({
    timeline,
    start: index === 0 ? divergedFrom.lsn : (all[index - 1]?.end ?? divergedFrom.lsn),
    end: timeline === ownEnd.timeline ? null : end,
  }));
}

/** Transactions that pg_waldump tells to be committed. */
export function commitsIn(waldump: string): number[] {
  return [...waldump.matchAll(/^rmgr: Transaction .*? tx: +(\d+), .*? desc: COMMIT /gm)].map(([, id]) => Number(id));
}

/** The folders of a server's set-aside directory that are whole. */
export function setAsideFolders(directory: string): string[] {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.filter((name) => !name.endsWith('.making')).map((name) => join(directory, name));
}

/** The commits in a set-aside folder, read from the WAL that was kept: proof that the rows can be found there. */
export async function readCommits(folder: string): Promise<Set<string>> {
  const facts = JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8')) as Facts;
  const commits = new Set<string>();
  for (const stretch of stretchesOf(facts)) {
    for (const transaction of commitsIn(await waldump(folder, stretch)))
      commits.add(commitKey({ timeline: stretch.timeline, transaction }));
  }
  return commits;
}

/** Room for what is set aside next, as an operator makes it who has looked at it. */
export function clearSetAside(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** pg_waldump's output; that it ends with an error at the end of the WAL is its way. */
function waldump(folder: string, { timeline, start, end }: Stretch): Promise<string> {
  const args = ['-p', folder, '-t', String(timeline), '-s', start, ...(end ? ['-e', end] : []), '-r', 'Transaction'];
  return new Promise((resolve) => {
    execFile(join(postgresBinDirectory(), 'pg_waldump'), args, { maxBuffer: 256 * 1024 * 1024 }, (_, output) =>
      resolve(output),
    );
  });
}
