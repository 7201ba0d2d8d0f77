import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn } from '@understudy/contracts';
import { syncDirectory } from '@understudy/platform';
import type { OwnPast, PeerPast, RejoinPlan } from '../domain/rejoin-decision.ts';
import { TaskFailure } from '../domain/task-failure.ts';
import { parseSegmentName } from '../domain/wal-position.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { DataDirectory } from './data-directory.ts';
import { nameOfNow } from './name-of-now.ts';

/** What was set aside, and where. */
export interface SetAside {
  readonly folder: string;
  /** Bytes of WAL that exist on this server only. */
  readonly bytes: number;
  /** Transactions committed in them; null when that cannot be told. */
  readonly commits: number | null;
}

/**
 * Keeps what exists on this server only, before a rewind or a copy throws it away: the WAL from the point of divergence on, the
 * histories, and the facts. Law 8: nothing is thrown away silently. Asked again about the same divergence it keeps nothing twice.
 * Fails with `set-aside-failed` when there is no room.
 */
export async function setAside(
  root: string,
  directory: DataDirectory,
  own: OwnPast,
  peer: PeerPast,
  plan: RejoinPlan,
  context: TaskContext,
): Promise<SetAside> {
  const from = plan.divergedFrom ?? { timeline: own.timeline, lsn: own.redoLsn };
  const key = [own.systemIdentifier, from.timeline, formatLsn(from.lsn), own.timeline, formatLsn(own.endOfWal)].join(
    ' ',
  );
  const earlier = await findEarlier(root, key);
  if (earlier) return earlier;
  const control = await directory.control();
  const isReadable = own.timeline === from.timeline && own.endOfWal > from.lsn;
  const { commits } = isReadable
    ? await directory.scanWal(own.timeline, from.lsn, control, context)
    : { commits: null };
  const names = (await directory.walFiles()).filter((name) => {
    const segment = parseSegmentName(name, control.walSegmentBytes);
    if (segment === null) return name.endsWith('.history');
    const end = segment.start + BigInt(control.walSegmentBytes);
    return segment.timeline >= from.timeline && end > from.lsn && segment.start < own.endOfWal;
  });
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory.path, 'pg_wal', name))).size));
  await requireRoom(
    root,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const folder = join(root, nameOfNow());
  const making = `${folder}.making`;
  await mkdir(making, { recursive: true, mode: 0o700 });
  for (const name of names) {
    context.signal.throwIfAborted();
    await keep(join(directory.path, 'pg_wal', name), join(making, name));
    context.advance((await stat(join(making, name))).size);
  }
  const bytes = own.endOfWal > from.lsn ? Number(own.endOfWal - from.lsn) : 0;
  const facts = {
    key,
    at: new Date().toISOString(),
    reason: plan.reason,
    method: plan.method,
    systemIdentifier: own.systemIdentifier,
    divergedBytes: bytes,
    committedTransactions: commits,
    divergedFrom: { timeline: from.timeline, lsn: formatLsn(from.lsn) },
    ownEnd: { timeline: own.timeline, lsn: formatLsn(own.endOfWal) },
    ownBranch: own.branch.map(({ timeline, endLsn }) => ({
      timeline,
      end: endLsn === null ? null : formatLsn(endLsn),
    })),
    peer: { timeline: peer.timeline, lsn: formatLsn(peer.position) },
    peerBranch: peer.branch.map(({ timeline, endLsn }) => ({
      timeline,
      end: endLsn === null ? null : formatLsn(endLsn),
    })),
    files: names,
    howToRead: `pg_waldump -p . -t ${own.timeline} -s ${formatLsn(from.lsn)}`,
  };
  const controlText = (await directory.controlText()).replace(/^Mock authentication nonce:.*$/m, '');
  await writeFile(join(making, 'pg_controldata.txt'), controlText, { mode: 0o600, flush: true });
  await writeFile(join(making, 'facts.json'), `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600, flush: true });
  await syncDirectory(making);
  await rename(making, folder);
  await syncDirectory(root);
  return { folder, bytes, commits };
}

async function findEarlier(root: string, key: string): Promise<SetAside | null> {
  for (const name of await readdir(root).catch(() => [])) {
    const folder = join(root, name);
    if (name.endsWith('.making')) {
      await rm(folder, { recursive: true, force: true });
      continue;
    }
    const facts = await readFile(join(folder, 'facts.json'), 'utf8')
      .then((text) => JSON.parse(text) as { key?: string; divergedBytes: number; committedTransactions: number | null })
      .catch(() => null);
    if (facts?.key === key) return { folder, bytes: facts.divergedBytes, commits: facts.committedTransactions };
  }
  return null;
}

/** A copy of its own (shared blocks where the file system can): the original is overwritten in place by a rewind. Durable. */
async function keep(source: string, target: string): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function requireRoom(root: string, bytes: number): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize > bytes) return;
  throw new TaskFailure(
    'set-aside-failed',
    `${bytes} bytes of WAL written on this server only cannot be set aside: ${root} has ${bavail * bsize} bytes left`,
  );
}
