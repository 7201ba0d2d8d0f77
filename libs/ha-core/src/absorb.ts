import { type EffectKind, isFailedCopy } from './effects.ts';
import type { HaEvent } from './events.ts';
import { lagBytes, missingBytes, peerPosition } from './lag.ts';
import { laterProtection, toldProtection } from './protection.ts';
import { grantsToPeer, lineageOf, type Server, type ServerRecord } from './server.ts';
import { TIMING } from './timing.ts';

/** Takes in what an event tells about the world, before any rule is tried. Pure. */
export function absorb(server: Server, event: HaEvent): Server {
  const seen = look(server, event);
  return withRecord(seen, learned(seen, event));
}

function look(known: Server, event: HaEvent): Server {
  const server = afterStandstill(known, event.atMs);
  const { record } = server;
  const meantToRun =
    record.inFlight === null &&
    (record.opened || record.state === 'secondary-syncing' || record.state === 'primary-syncing');
  const base = meantToRun ? server : { ...server, usableAtMs: event.atMs };
  switch (event.type) {
    case 'peer-heard':
      return {
        ...base,
        link: 'up',
        peer: event.status,
        peerPosition:
          event.status.lsn === null ? base.peerPosition : { lineage: event.status.lineage, lsn: event.status.lsn },
        peerHeardAtMs: event.atMs,
        peerGrantUntilMs: Math.max(base.peerGrantUntilMs, grantOf(base, event)),
        wordAtMs:
          event.sentAtMs !== undefined && event.status.protection.inForce
            ? Math.max(event.sentAtMs, base.wordAtMs ?? event.sentAtMs)
            : base.wordAtMs,
      };
    case 'beat-answered':
      return {
        ...base,
        // to a peer that does not answer us the answer says that it grants nothing
        answeredAtMs: grantsToPeer(base) ? event.atMs : base.answeredAtMs,
        toldAtMs: toldProtection(record).inForce ? event.atMs : base.toldAtMs,
      };
    case 'consent-answered':
      return { ...base, peerGrantUntilMs: Math.max(base.peerGrantUntilMs, grantByConsent(base, event)) };
    case 'witness-observed':
      return { ...base, witness: event.witness };
    case 'peer-lost':
    case 'peer-answered-probe':
      return { ...base, link: 'lost' };
    case 'peer-confirmed-lost':
      return { ...base, link: 'confirmed-lost' };
    case 'database-observed': {
      const { database } = event;
      return {
        ...base,
        database: { ...database, lsn: database.lsn ?? base.database?.lsn ?? null },
        streamedAtMs: database.streaming ? event.atMs : base.streamedAtMs,
        usableAtMs: database.usable ? event.atMs : base.usableAtMs,
      };
    }
    case 'process-failed':
      return { ...base, failedProcess: event.process };
    case 'process-recovered':
      return { ...base, failedProcess: null };
    case 'effect-failed':
      return {
        ...base,
        effectFailedAtMs: event.atMs,
        ...(isFailedCopy(event.code) ? { copyFailedAtMs: event.atMs } : {}),
        ...(event.effect === 'promote-database' ? { promotionFailedAtMs: event.atMs } : {}),
      };
    case 'effects-completed': {
      const done = record.inFlight?.effects.map(({ kind }) => kind) ?? [];
      return {
        ...afterEffects(base, event),
        applicationSeen: base.applicationSeen || done.includes('start-processes'),
        effectFailedAtMs: null,
        copyFailedAtMs: null,
        promotionFailedAtMs: done.includes('promote-database') ? null : base.promotionFailedAtMs,
      };
    }
    default:
      return base;
  }
}

/** While this manager stood still it saw nothing: what it missed in that time proves nothing. Ticks come every second. */
function afterStandstill(server: Server, atMs: number): Server {
  const gapMs = atMs - server.lastEventAtMs;
  const next = { ...server, lastEventAtMs: atMs };
  return gapMs <= TIMING.standstillMs
    ? next
    : { ...next, usableAtMs: server.usableAtMs + gapMs, streamedAtMs: server.streamedAtMs + gapMs };
}

const NEVER_SEEN = { lagBytes: null, restartsExhausted: false, commitsConfirmedSince: null } as const;

/** What the effects just ended did to the database, so that no observation from before them is believed. */
function afterEffects(server: Server, { atMs, results }: HaEvent & { type: 'effects-completed' }): Server {
  const kinds = server.record.inFlight?.effects.map(({ kind }) => kind) ?? [];
  const { database } = server;
  if (kinds.includes('follow-peer'))
    // a rewind or a copy may have moved the position back: the next observation tells. There may have been none since the manager started
    return {
      ...server,
      streamedAtMs: atMs,
      database: { ...(database ?? NEVER_SEEN), running: true, usable: true, streaming: true, lsn: null },
    };
  if (kinds.includes('stop-database') || kinds.includes('fence'))
    // closed on purpose: what could not be kept running before does not count any more
    return {
      ...server,
      database: {
        ...(database ?? NEVER_SEEN),
        running: false,
        usable: false,
        streaming: false,
        restartsExhausted: false,
        // it was written to until it was killed: where it ends now is seen by the next observation
        lsn: kinds.includes('fence') ? null : (results.finalLsn ?? database?.lsn ?? null),
      },
    };
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
        ...(servesWithoutUs(server, event) && record.state !== 'ha-initializing' ? { behind: true } : {}),
        ...(following && status.serving && inSyncState(record)
          ? { lineage: Math.max(record.lineage, status.hold) }
          : {}),
        ...armedNow(server),
        ...positionToKeep(server),
        protection: status.hold === 0 ? record.protection : laterProtection(record, status.protection),
      };
    }
    case 'peer-lost':
    case 'peer-confirmed-lost':
    case 'peer-answered-probe':
      return record.pairId === null ? {} : { peerPosition: peerPosition(server) };
    case 'witness-observed': {
      const { holder } = event.witness;
      return holder === null || holder.role === record.role || holder.protection === undefined
        ? {}
        : { protection: laterProtection(record, holder.protection) };
    }
    case 'database-observed':
      return armedNow(server);
    case 'tick':
      return (inSyncState(record) || record.opened) &&
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
        ...(opens || follows || kinds.some(isClosing) ? { closing: false } : {}),
        ...(opens && record.hold !== 0 ? { lineage: record.hold } : {}),
        // a database that was lost, or never whole, is the peer's altogether
        ...(follows && peer !== null
          ? { lineage: record.complete ? Math.max(record.lineage, peer.hold) : peer.hold }
          : {}),
        ...(follows && record.state !== 'ha-initializing' ? { complete: true } : {}),
        ...(kinds.includes('stop-database') && !follows && event.results.finalLsn !== undefined
          ? { finalLsn: event.results.finalLsn }
          : {}),
        // a paired server without a database has lost it
        ...(event.results.databaseMissing === true && record.pairId !== null ? { complete: false } : {}),
      };
    }
    case 'effect-failed':
      return {
        inFlight: null,
        // effects come in order: what follows the closing fails after it
        ...(event.effect !== 'stop-processes' && !isClosing(event.effect) && closes(record) ? { closing: false } : {}),
        // within a registration it means that the first copy was whole
        ...(event.code === 'copy-failed' && record.state !== 'ha-initializing' ? { complete: false } : {}),
        ...(event.code === 'no-data' && record.pairId !== null ? { complete: false } : {}),
      };
    case 'lease-answered':
    case 'consent-answered':
      // an answer that comes too late or for another request is no answer
      return record.request !== null && event.atMs - record.request.sentAtMs > TIMING.consentLifetimeMs
        ? { request: null }
        : {};
    default:
      return {};
  }

  /**
   * Once in sync, armed stays: the stream breaks before the heartbeats do when the active server dies. What is lacking then
   * is weighed when it matters, by what was heard of the peer last.
   */
  function armedNow({ link }: Server): Partial<ServerRecord> {
    if (record.state !== 'secondary-syncing' || link !== 'up' || database?.streaming !== true) return {};
    const inTime = record.armed || lagBytes(server) <= settings.maximumLagBytes;
    return { behind: false, armed: record.failoverType !== 'manual' && inTime && peer?.serving === true };
  }
}

/** Until when the answer lets this server serve: a peer that does not own the role will not take it alone before then. */
function grantOf({ settings, record }: Server, event: HaEvent): number {
  if (event.type !== 'peer-heard' || event.sentAtMs === undefined || settings.witness?.kind !== 'nats') return 0;
  const { status } = event;
  return status.grants && status.pairId === record.pairId && status.hold === 0
    ? event.sentAtMs + settings.witness.leaseMs
    : 0;
}

/** The giver of a consent does not act alone before its consent has expired. */
function grantByConsent({ record: { request } }: Server, event: HaEvent): number {
  return event.type === 'consent-answered' && event.granted && request !== null && request.nonce === event.nonce
    ? request.sentAtMs + TIMING.consentLifetimeMs
    : 0;
}

/** Only what matters is written: that the peer is too far ahead, and not any more. */
function positionToKeep(server: Server): Partial<ServerRecord> {
  const { record, peer, settings } = server;
  if (peer?.lsn == null) return {};
  const missing = missingBytes(server);
  if (missing === null || missing <= settings.maximumLagBytes) return { peerPosition: null };
  return record.peerPosition === null ? { peerPosition: peerPosition(server) } : {};
}

/**
 * The peer serves, and what it writes does not reach us: it has data that we lack, until we are in sync again. At once when it is a
 * later owner than the one whose data we have, otherwise after more than a hiccup of the stream.
 */
function servesWithoutUs({ record, peer, database, streamedAtMs }: Server, { atMs }: HaEvent): boolean {
  if (peer === null || !peer.serving || peer.hold <= record.hold || database?.streaming === true) return false;
  return peer.hold > lineageOf(record) || atMs - streamedAtMs >= TIMING.detachedBeforeFollowMs;
}

function closes({ inFlight }: ServerRecord): boolean {
  return inFlight?.effects.some(({ kind }) => isClosing(kind)) === true;
}

/** The effect ends with a database that is not open. */
function isClosing(kind: EffectKind): boolean {
  return kind === 'stop-database' || kind === 'fence';
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
