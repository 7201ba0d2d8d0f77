import type { AcknowledgedWrite, ServerName } from './acknowledged-write.ts';

/** Sequence numbers of the rows that a database has, by run. */
export type PresentRows = ReadonlyMap<string, ReadonlySet<number>>;

/** A part of history that a server has set aside before it followed the other. */
export interface SetAsidePart {
  readonly server: ServerName;
  readonly folder: string;
  /** Whether an event of that server names the folder. */
  readonly isNamed: boolean;
  /** Transactions committed in the WAL that was kept, as `timeline transaction`. */
  readonly commits: ReadonlySet<string>;
}

/** Where every acknowledged row is. */
export interface Account {
  readonly acknowledged: number;
  readonly present: number;
  /** Not in the database, but committed in WAL that was set aside, and an event says where. */
  readonly setAside: number;
  /** The same, but no event says where. */
  readonly unnamed: readonly AcknowledgedWrite[];
  /** Neither in the database nor set aside. */
  readonly unaccounted: readonly AcknowledgedWrite[];
  /** On the active server, and not on its standby. */
  readonly missingOnStandby: readonly AcknowledgedWrite[];
}

/** A commit as it is known by in a SetAsidePart. */
export function commitKey({
  timeline,
  transaction,
}: {
  readonly timeline: number;
  readonly transaction: number;
}): string {
  return `${timeline} ${transaction}`;
}

/** Looks for every acknowledged row in the databases of a pair at rest, and in what was set aside. */
export function accountFor(
  writes: readonly AcknowledgedWrite[],
  databases: { readonly active: PresentRows; readonly standby: PresentRows },
  setAside: readonly SetAsidePart[],
): Account {
  const has = (rows: PresentRows, { run, sequence }: AcknowledgedWrite) => rows.get(run)?.has(sequence) === true;
  const absent = writes.filter((write) => !has(databases.active, write));
  const keptIn = (write: AcknowledgedWrite) => setAside.filter(({ commits }) => commits.has(commitKey(write)));
  const kept = absent.filter((write) => keptIn(write).length > 0);
  const named = kept.filter((write) => keptIn(write).some(({ isNamed }) => isNamed));
  return {
    acknowledged: writes.length,
    present: writes.length - absent.length,
    setAside: named.length,
    unnamed: kept.filter((write) => !named.includes(write)),
    unaccounted: absent.filter((write) => keptIn(write).length === 0),
    missingOnStandby: writes.filter((write) => has(databases.active, write) && !has(databases.standby, write)),
  };
}

/** Reads `run, sequence,sequence,...` rows, as PRESENT_ROWS selects them. */
export function presentRows(rows: readonly (readonly (string | null)[])[]): PresentRows {
  return new Map(rows.map(([run, sequences]) => [run ?? '', new Set((sequences ?? '').split(',').map(Number))]));
}

/** Selects what presentRows() reads. */
export const PRESENT_ROWS = `select run, string_agg(sequence::text, ',') from understudy_chaos group by run`;
