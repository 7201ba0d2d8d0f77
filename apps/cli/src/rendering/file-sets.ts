import type { FileDifferences, FileSetView, FilesView } from '@understudy/contracts';
import { inOneLine } from './output.ts';

/** The lines of `files status`: one for each set, below it what needs attention on either server. */
export function fileSetLines({ fileSets }: FilesView): string[] {
  if (fileSets.length === 0) return ['No file sets are configured on this server.'];
  return fileSets.flatMap((set) => {
    const here = attention(set, 'confirm-deletion lets them');
    const there = set.peer === null ? [] : attention(set.peer, 'confirm-deletion there lets them');
    const onlyThere = there.filter((line) => !here.includes(line));
    return [setLine(set), ...here.map((line) => `  ${line}`), ...onlyThere.map((line) => `  on the peer: ${line}`)];
  });
}

function setLine({
  name,
  class: kind,
  direction,
  files,
  bytes,
  lastCompleteAt,
  pendingFiles,
  pendingBytes,
}: FileSetView): string {
  const way = { sends: 'sends to the peer', fetches: 'fetches from the peer', unknown: 'nothing moves' }[direction];
  const pending = pendingFiles === 0 ? '' : `, ${pendingFiles} pending (${size(pendingBytes)})`;
  const complete = lastCompleteAt === null ? 'not complete yet' : `complete at ${lastCompleteAt}`;
  return `${name} (${kind}): ${way}; ${files} ${files === 1 ? 'file' : 'files'} (${size(bytes)}), ${complete}${pending}`;
}

const WHAT: Readonly<Record<FileDifferences['differences'][number]['what'], string>> = {
  'missing-here': 'not here',
  'extra-here': 'only here',
  content: 'other content',
  kind: 'another kind of thing',
  metadata: 'other owner, mode or time',
  changed: 'the peer has not confirmed the change',
  removed: 'the peer has not confirmed that it has gone',
};

/** The lines of `files diff`: one for each path, after one that says what it is known from. */
export function differenceLines(fileSet: string, { direction, asOf, count, differences }: FileDifferences): string[] {
  const source = direction === 'sends' ? 'the last word of the peer' : 'the last look';
  const known = asOf === null ? 'this server has not compared it with its peer yet' : `${source}, ${asOf}`;
  const unseen = count - differences.length;
  return [
    `${fileSet}: ${count === 0 ? 'nothing differs' : `${count} ${count === 1 ? 'path differs' : 'paths differ'}`} (${known})`,
    ...differences.map(
      ({ path, what, since }) => `  ${path}: ${WHAT[what]}${since === null ? '' : `, since ${since}`}`,
    ),
    ...(unseen > 0 ? [`  and ${unseen} more`] : []),
  ];
}

function attention(
  { reason, errors, errorCount, awaitingDeletion }: NonNullable<FileSetView['peer']>,
  remedy: string,
): string[] {
  const unseen = errorCount - errors.length;
  return [
    ...(reason === '' ? [] : [reason]),
    ...(awaitingDeletion === null
      ? []
      : [`${awaitingDeletion.deletions} of ${awaitingDeletion.files} files would go at once: ${remedy}`]),
    ...errors.map(({ path, message }) => `${path}: ${message}`),
    ...(unseen > 0 ? [`and ${unseen} more`] : []),
  ].map(inOneLine);
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}
