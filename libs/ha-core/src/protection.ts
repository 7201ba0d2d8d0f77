import { lineageOf, type Server, type ServerRecord } from './server.ts';
import { CLOCK_MARGIN } from './timing.ts';

/**
 * What an owner of the role tells of its commits, under that epoch. `change` grows with each change of `inForce`, so that of two words
 * the later one is known however late it comes, and a word can be confirmed.
 */
export interface ToldProtection {
  readonly epoch: number;
  readonly change: number;
  /** No commit is acknowledged that the standby has not got. */
  readonly inForce: boolean;
}

/**
 * The same as a server keeps it. Of an owner `phase` says what its PostgreSQL does: `none`: commits do not wait; `arming`: they wait, and
 * the standby has not yet confirmed what was written before; `in-force`; `ending`: they still wait, until it is known where it matters
 * that the standby may miss something from then on. A standby keeps `in-force` or `none`, as it was told.
 * Decision: docs/decisions/0013-synchronous-replication.md
 */
export interface Protection {
  readonly epoch: number;
  readonly change: number;
  readonly phase: 'none' | 'arming' | 'in-force' | 'ending';
  /** Owner: the decision by which commits began to wait; what was confirmed before it is nothing. */
  readonly since: number;
}

/** The owner's own word under the epoch that it holds, or the last that a server without the role was told. */
export function protectionOf({ hold, protection }: ServerRecord): Protection {
  const unknown = { epoch: hold, change: 0, phase: 'none', since: 0 } as const;
  return protection === null || (hold !== 0 && protection.epoch !== hold) ? unknown : protection;
}

/** What this server tells of it: to its peer, and with its lease to the witness. */
export function toldProtection(record: ServerRecord): ToldProtection {
  const { epoch, change, phase } = protectionOf(record);
  return { epoch, change, inForce: phase === 'in-force' };
}

/**
 * The decision since which commits of this server's PostgreSQL shall wait for the peer; null: they shall not. Undefined: as they do. To
 * wait for longer than needed is safe, to end early is not: what is being closed is not told to acknowledge what waits.
 */
export function commitsShallWait(record: ServerRecord): number | null | undefined {
  if (record.pairId === null) return null;
  if (record.hold === 0) return undefined;
  const { phase, since } = protectionOf(record);
  return phase === 'none' ? null : since;
}

/** The later of what a server without the role knows and is told now. */
export function laterProtection({ hold, protection }: ServerRecord, told: ToldProtection): Protection | null {
  if (hold !== 0 || isEarlier(told, protection)) return protection;
  return { epoch: told.epoch, change: told.change, phase: told.inForce ? 'in-force' : 'none', since: 0 };
}

function isEarlier(told: ToldProtection, known: Protection | null): boolean {
  // an owner that has never promised anything says nothing new
  if (known === null) return told.change === 0;
  return told.epoch < known.epoch || (told.epoch === known.epoch && told.change < known.change);
}

/** Whether the pair replicates synchronously: as it is configured here, or as the owner whose data this server has has done. */
export function isSynchronous({ settings, record }: Server): boolean {
  const { epoch, change } = protectionOf(record);
  return settings.replication === 'sync' || (change > 0 && epoch === lineageOf(record));
}

/**
 * Why the active server may have acknowledged writes that this standby lacks; null: it had every commit wait for this one. Only asked of
 * a server without the role.
 */
export function exposure({ record, settings, witness, wordAtMs }: Server, atMs: number): string | null {
  const { epoch, change, phase } = protectionOf(record);
  const lineage = lineageOf(record);
  if (epoch !== lineage || phase !== 'in-force')
    return 'the active server has not told that its commits wait for this one: it may have acknowledged writes that are missing here';
  if (settings.witness?.kind === 'nats') {
    const holder = witness?.holder;
    // the lease was given on what it said before: whoever replaces it names what it has seen
    if (holder?.role === record.role && record.request !== null && holder.epoch === record.request.epoch) return null;
    const told = holder?.role === record.role ? null : holder?.protection;
    return holder?.epoch === lineage && told?.inForce === true && told.change >= change
      ? null
      : 'the witness does not know that the commits of the active server wait for this one: it may have acknowledged writes that are missing here';
  }
  const silentMs = wordAtMs === null ? null : atMs - wordAtMs;
  return silentMs !== null && silentMs <= settings.wordLastsMs
    ? null
    : 'the active server has not been heard for so long that it may have gone on without this one: it may have acknowledged writes that are missing here';
}

/** Whether it is known where it matters that the standby may miss something: by the standby itself, by the witness, or by its silence. */
export function isExposureKnown({ record, settings, peer, witness, toldAtMs }: Server, atMs: number): boolean {
  const { change } = protectionOf(record);
  const { hold, role, pairId } = record;
  const says = peer?.pairId === pairId ? peer?.protection : undefined;
  if (says?.epoch === hold && says.change >= change) return true;
  if (settings.witness?.kind !== 'nats') return atMs - toldAtMs > settings.wordLastsMs * CLOCK_MARGIN;
  const holder = witness?.holder;
  const told = holder?.role === role && holder.epoch === hold ? holder.protection : undefined;
  return told !== undefined && told.change >= change && !told.inForce;
}
