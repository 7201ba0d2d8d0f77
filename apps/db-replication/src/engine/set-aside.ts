import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn } from '@understudy/contracts';
import { syncDirectory } from '@understudy/platform';
import type { OwnPast, PeerPast, RejoinPlan } from '../domain/rejoin-decision.ts';
import { parseSegmentName } from '../domain/wal-position.ts';
import type { DataDirectory } from './data-directory.ts';

/**
 * Keeps what exists on this server only, before a rewind or a copy throws it away: the WAL from the point of divergence on, the
 * histories, and the facts. Law 8: nothing is thrown away silently.
 */
export async function setAside(
  root: string,
  directory: DataDirectory,
  own: OwnPast,
  peer: PeerPast,
  plan: RejoinPlan,
): Promise<{ folder: string; bytes: number }> {
  const control = await directory.control();
  const from = plan.divergedFrom ?? { timeline: own.timeline, lsn: own.redoLsn };
  const earlier = await keptEarlier(root, own, from);
  if (earlier) return earlier;
  const folder = join(root, new Date().toISOString().replaceAll(/[:.]/g, '-'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const kept: string[] = [];
  const segmentBytes = BigInt(control.walSegmentBytes);
  for (const name of await directory.walFiles()) {
    const segment = parseSegmentName(name, control.walSegmentBytes);
    const holdsDivergence =
      segment !== null &&
      segment.timeline >= from.timeline &&
      segment.start + segmentBytes > from.lsn &&
      segment.start < own.endOfWal;
    if (!holdsDivergence && !name.endsWith('.history')) continue;
    await copyFile(join(directory.path, 'pg_wal', name), join(folder, name));
    kept.push(name);
  }
  const bytes = own.endOfWal > from.lsn ? Number(own.endOfWal - from.lsn) : 0;
  const facts = {
    at: new Date().toISOString(),
    reason: plan.reason,
    method: plan.method,
    systemIdentifier: own.systemIdentifier,
    divergedBytes: bytes,
    divergedFrom: { timeline: from.timeline, lsn: formatLsn(from.lsn) },
    ownEnd: { timeline: own.timeline, lsn: formatLsn(own.endOfWal) },
    peer: { timeline: peer.timeline, lsn: formatLsn(peer.position) },
    files: kept,
    howToRead: `pg_waldump -p . -t ${own.timeline} -s ${formatLsn(from.lsn)}`,
  };
  await writeFile(join(folder, 'facts.json'), `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600, flush: true });
  for (const name of kept) await stat(join(folder, name));
  await syncDirectory(folder);
  return { folder, bytes };
}

/** The same part, kept by an attempt before this one. */
async function keptEarlier(root: string, own: OwnPast, from: { timeline: number; lsn: bigint }) {
  for (const name of await readdir(root).catch(() => [])) {
    try {
      const folder = join(root, name);
      const facts = JSON.parse(await readFile(join(folder, 'facts.json'), 'utf8'));
      const isSame =
        facts.systemIdentifier === own.systemIdentifier &&
        facts.divergedFrom.timeline === from.timeline &&
        facts.divergedFrom.lsn === formatLsn(from.lsn) &&
        facts.ownEnd.lsn === formatLsn(own.endOfWal);
      if (isSame) return { folder, bytes: Number(facts.divergedBytes) };
    } catch {
      // Not finished, or not ours.
    }
  }
  return null;
}
