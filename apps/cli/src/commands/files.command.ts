import { setTimeout as sleep } from 'node:timers/promises';
import type { FileDifferences, FilesView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import type { GlobalOptions } from '../client/connect.ts';
import { differenceLines, fileSetLines } from '../rendering/file-sets.ts';
import { say, sayJson } from '../rendering/output.ts';
import { withClient } from './with-client.ts';

const AGAIN_MS = 2000;

/** `files status`: a line for each file set, then what is wrong with it; --follow repeats it while something changes. */
export async function filesStatus(options: GlobalOptions & { readonly follow?: boolean }): Promise<void> {
  await withClient(options, async (client) => {
    let last = '';
    do {
      const view = await client.get<FilesView>('/files');
      const text = options.json ? JSON.stringify(view) : fileSetLines(view).join('\n');
      if (options.json && !options.follow) sayJson(view);
      else if (text !== last) say(text);
      last = text;
      if (options.follow) await sleep(AGAIN_MS);
    } while (options.follow);
  });
}

/** `files diff SET`: a line for each path that differs between the servers. */
export async function filesDiff(options: GlobalOptions, fileSet: string): Promise<void> {
  await withClient(options, async (client) => {
    const differences = await client.get<FileDifferences>(`/files/${encodeURIComponent(fileSet)}/differences`);
    if (options.json) sayJson(differences);
    else say(differenceLines(fileSet, differences).join('\n'));
  });
}

/** `files confirm-deletion SET`: so many of its files may go at once. */
export async function confirmDeletion(
  options: GlobalOptions & { readonly yes?: boolean },
  fileSet: string,
): Promise<void> {
  await withClient(options, async (client) => {
    const { fileSets } = await client.get<FilesView>('/files');
    const waiting = fileSets.find(({ name }) => name === fileSet)?.awaitingDeletion;
    if (waiting && !options.yes) {
      const what = `${waiting.deletions} of ${waiting.files} files of ${fileSet} have gone on one of the servers`;
      const then = 'and this one will be made like the active one';
      throw new CliError(EXIT.refused, `${what}, ${then}: repeat with --yes when that is what you want.`);
    }
    const answer = await client.ask<{ deletions: number }>(
      'POST',
      `/files/${encodeURIComponent(fileSet)}/confirm-deletion`,
      {},
    );
    if (options.json) sayJson(answer);
    else say(`${fileSet}: the deletion of ${answer.deletions} files is confirmed.`);
  });
}
