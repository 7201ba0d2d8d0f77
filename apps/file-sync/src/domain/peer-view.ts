import type { FileSetState, FileSetStates, FileSetsTold, FileSetView, FilesView } from '@understudy/contracts';

const ERRORS_TOLD = 3;

/** What this server tells the other one of its sets. */
export function told({ fileSets }: FileSetStates): FileSetsTold {
  return {
    fileSets: fileSets.map(({ name, class: kind, reason, errors, errorCount, awaitingDeletion }) => {
      return { name, class: kind, reason, errors: errors.slice(0, ERRORS_TOLD), errorCount, awaitingDeletion };
    }),
  };
}

/** The sets with what the other server told of them; null: it has told nothing, or too long ago. */
export function withPeer({ fileSets }: FileSetStates, heard: FileSetsTold | null): FilesView {
  return { fileSets: fileSets.map((set) => ({ ...set, peer: heard && peerOf(set, heard) })) };
}

/** Names of the sets that the other server does not have. */
export function missingThere({ fileSets }: FileSetStates, heard: FileSetsTold): string[] {
  return fileSets.map(({ name }) => name).filter((name) => setOf(name, heard) === undefined);
}

function setOf(name: string, { fileSets }: FileSetsTold): FileSetsTold['fileSets'][number] | undefined {
  return fileSets.find((set) => set.name === name);
}

function peerOf({ name, class: kind }: FileSetState, heard: FileSetsTold): NonNullable<FileSetView['peer']> {
  const there = setOf(name, heard);
  if (there === undefined)
    return {
      reason: 'no file set of this name is configured: give both servers the same',
      errors: [],
      errorCount: 0,
      awaitingDeletion: null,
    };
  const { reason, errors, errorCount, awaitingDeletion } = there;
  const differs =
    there.class === kind ? '' : `its class is ${there.class} there and ${kind} here: give both servers the same`;
  return { reason: [differs, reason].filter((text) => text !== '').join('; '), errors, errorCount, awaitingDeletion };
}
