import type { HaEvent } from './events.ts';
import type { Server, ServerRecord } from './server.ts';
import { TIMING } from './timing.ts';

/** Takes in what an event tells about the world, before any rule is tried. Pure. */
export function absorb(server: Server, event: HaEvent): Server {
  const seen = look(server, event);
  return withRecord(seen, learned(seen, event));
}

function look(server: Server, event: HaEvent): Server {
  const { record } = server;
  const meantToRun =
    record.inFlight === null &&
    (record.opened || record.state === 'secondary-syncing' || record.state === 'primary-syncing');
  const base = meantToRun ? server : { ...server, usableAtMs: event.atMs };
  switch (event.type) {
    case 'peer-heard':
      return { ...base, link: 'up', peer: event.status, peerHeardAtMs: event.atMs };
    case 'peer-lost':
    case 'peer-answered-probe':
      return { ...base, link: 'lost' };
    case 'peer-confirmed-lost':
      return { ...base, link: 'confirmed-lost' };
    case 'database-observed': {
      const { database } = event;
      return {
        ...base,
        database,
        streamedAtMs: database.streaming ? event.atMs : base.streamedAtMs,
        usableAtMs: database.usable ? event.atMs : base.usableAtMs,
      };
    }
    case 'process-failed':
      return { ...base, failedProcess: event.process };
    case 'process-recovered':
      return { ...base, failedProcess: null };
    case 'effect-failed':
      return { ...base, effectFailedAtMs: event.atMs };
    case 'effects-completed':
      return { ...afterEffects(base, event.atMs), effectFailedAtMs: null };
    default:
      return base;
  }
}

/** What the effects just ended did to the database, so that no observation from before them is believed. */
function afterEffects(server: Server, atMs: number): Server {
  const kinds = server.record.inFlight?.effects.map(({ kind }) => kind) ?? [];
  const { database } = server;
  if (database === null) return server;
  if (kinds.includes('follow-peer'))
    return { ...server, streamedAtMs: atMs, database: { ...database, running: true, usable: true, streaming: true } };
  if (kinds.includes('stop-database'))
    return { ...server, database: { ...database, running: false, usable: false, streaming: false } };
  return server;
}

function learned(server: Server, event: HaEvent): Partial<ServerRecord> {
  const { record, peer, database, settings } = server;
  switch (event.type) {
    case 'peer-heard': {
      const status = event.status;
      if (record.pairId === null || status.pairId !== record.pairId) return {};
      const following = database?.streaming === true;
      return {
        epoch: Math.max(record.epoch, status.epoch, status.hold),
        ...(record.role === 'secondary' ? { failoverType: status.failoverType } : {}),
        // a peer that has been heard serving without us for longer than a hiccup has data that we lack, until we are in sync again
        ...(status.serving &&
        status.hold > record.hold &&
        !following &&
        event.atMs - server.streamedAtMs >= TIMING.detachedBeforeFollowMs &&
        record.state !== 'ha-initializing'
          ? { behind: true }
          : {}),
        ...(following && status.serving && inSyncState(record)
          ? { lineage: Math.max(record.lineage, status.hold) }
          : {}),
        ...armedNow(server),
      };
    }
    case 'database-observed':
      return armedNow(server);
    case 'tick':
      return inSyncState(record) &&
        database?.streaming === true &&
        event.unixMs - (record.lastInSyncUnixMs ?? 0) > 60_000
        ? { lastInSyncUnixMs: event.unixMs }
        : {};
    case 'effects-completed': {
      const kinds = record.inFlight?.effects.map(({ kind }) => kind) ?? [];
      const opens = kinds.includes('open-database') || kinds.includes('promote-database');
      const follows = kinds.includes('follow-peer');
      return {
        inFlight: null,
        ...(kinds.includes('start-processes') ? { opened: true } : {}),
        ...(opens && record.hold !== 0 ? { lineage: record.hold } : {}),
        ...(follows && peer !== null ? { lineage: Math.max(record.lineage, peer.hold) } : {}),
        ...(follows && record.state !== 'ha-initializing' ? { complete: true } : {}),
        ...(kinds.includes('stop-database') && !follows && event.results.finalLsn !== undefined
          ? { finalLsn: event.results.finalLsn }
          : {}),
      };
    }
    case 'effect-failed':
      return {
        inFlight: null,
        ...(event.code === 'copy-failed' || event.code === 'rewind-failed' ? { complete: false } : {}),
      };
    case 'consent-answered':
      // an answer that comes too late or for another request is no answer
      return record.request !== null && event.atMs - record.request.sentAtMs > TIMING.consentLifetimeMs
        ? { request: null }
        : {};
    default:
      return {};
  }

  /** Once in sync, armed stays: the stream breaks before the heartbeats do when the active server dies. */
  function armedNow({ link }: Server): Partial<ServerRecord> {
    if (record.state !== 'secondary-syncing' || link !== 'up' || database?.streaming !== true) return {};
    const inTime = (database.lagBytes ?? 0) <= settings.maximumLagBytes;
    return { behind: false, armed: record.failoverType === 'automatic' && inTime && peer?.serving === true };
  }
}

function inSyncState({ state }: ServerRecord): boolean {
  return state === 'secondary-syncing' || state === 'primary-syncing';
}

/** The same server with parts of its record replaced; the same object when nothing differs, so that nothing is written. */
export function withRecord(server: Server, change: Partial<ServerRecord>): Server {
  const differs = (Object.keys(change) as (keyof ServerRecord)[]).some(
    (key) => JSON.stringify(change[key]) !== JSON.stringify(server.record[key]),
  );
  return differs ? { ...server, record: { ...server.record, ...change } } : server;
}
