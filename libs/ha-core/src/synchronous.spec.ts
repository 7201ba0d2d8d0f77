import { describe, expect, it } from '@jest/globals';
import { actionRefusal } from './actions.ts';
import { decide } from './decide.ts';
import type { HaEvent } from './events.ts';
import { automaticFailoverRefusal } from './guards.ts';
import { commitsShallWait, protectionOf, toldProtection } from './protection.ts';
import {
  atStart,
  type DatabaseView,
  newRecord,
  type PeerView,
  type Server,
  type ServerRecord,
  type Settings,
} from './server.ts';
import { RUNNING, SETTINGS } from './testing/views.ts';

/** Whoever asks knows how the other stands. */
const FRESH = { knownLineage: 100, knownFinalLsn: null };

const SYNCHRONOUS: Settings = { ...SETTINGS, maximumLagBytes: 0, minimumBetweenFailoversMs: 0, replication: 'sync' };
const WITH_WITNESS: Settings = { ...SYNCHRONOUS, witness: { kind: 'nats', leaseMs: 10_000, fenceMs: 2000 } };
const IN_FORCE = { epoch: 1, change: 1, inForce: true };
const EXPOSED = { epoch: 1, change: 2, inForce: false };

describe('commits of the active server', () => {
  it('begin to wait for a standby that has caught up, and protect it once it has confirmed what was written before', () => {
    const waiting = after(primary({}), observed({ streaming: true }));
    expect(waiting.record.protection?.phase).toBe('arming');
    expect(commitsShallWait(waiting.record)).toBe(waiting.record.decisions);
    const earlier = after(waiting, observed({ streaming: true, commitsConfirmedSince: waiting.record.decisions - 1 }));
    expect(toldProtection(earlier.record).inForce).toBe(false);
    const confirmed = after(earlier, observed({ streaming: true, commitsConfirmedSince: waiting.record.decisions }));
    expect(toldProtection(confirmed.record)).toEqual(IN_FORCE);
  });

  it('do not wait for a standby that has much to catch up with, or where replication is asynchronous', () => {
    expect(after(primary({}), observed({ streaming: true, lagBytes: 2 ** 30 })).record.protection).toBeNull();
    const async = primary({}, { ...SYNCHRONOUS, replication: 'async' });
    expect(after(async, observed({ streaming: true })).record.protection).toBeNull();
  });

  it('go on to wait when the standby is gone, until it knows that it may miss something', () => {
    const alone = exposing(SYNCHRONOUS);
    expect(toldProtection(alone.record)).toEqual(EXPOSED);
    expect(commitsShallWait(alone.record)).toBe(5);
    const before = after(alone, heard(standbyView({ protection: IN_FORCE }), 10_000));
    expect(commitsShallWait(before.record)).toBe(5);
    const known = after(before, heard(standbyView({ protection: EXPOSED }), 11_000));
    expect(commitsShallWait(known.record)).toBeNull();
  });

  it('without a witness go on to wait for as long as the standby may believe what it was told last', () => {
    const told = after(primary({ ...inForce(), state: 'primary-lost-secondary' }), {
      type: 'beat-answered',
      atMs: 1000,
    });
    const alone = after({ ...told, lastEventAtMs: 6000 }, { type: 'tick', unixMs: 0, atMs: 6000 });
    expect(protectionOf(alone.record).phase).toBe('ending');
    const late = { ...alone, lastEventAtMs: 41_300, usableAtMs: 41_300 };
    expect(commitsShallWait(after(late, { type: 'tick', unixMs: 0, atMs: 41_300 }).record)).toBe(5);
    expect(commitsShallWait(after(late, { type: 'tick', unixMs: 0, atMs: 41_500 }).record)).toBeNull();
  });

  it('with a witness go on to wait until it keeps what the standby has to know, however long that takes', () => {
    const alone = exposing(WITH_WITNESS);
    const saying = (protection: typeof EXPOSED, atMs: number) =>
      witnessed({ role: 'primary', epoch: 1, protection }, atMs);
    const renewed = after({ ...alone, lastEventAtMs: 900_000 }, saying(IN_FORCE, 900_000));
    expect(commitsShallWait(renewed.record)).toBe(5);
    expect(commitsShallWait(after(renewed, saying(EXPOSED, 900_100)).record)).toBeNull();
  });

  it('are told nothing when the role is given up: what waits is not acknowledged by it', () => {
    const { record } = primary({ ...inForce(), hold: 0, lineage: 1, cause: 'fenced' });
    expect(commitsShallWait(record)).toBeUndefined();
    expect(commitsShallWait({ ...record, pairId: null })).toBeNull();
  });

  it('wait after a start of the server too, until it is known that the standby may miss something', () => {
    const booted = after(primary(inForce()), { type: 'boot', runId: 'next', sameRun: false, atMs: 0 });
    expect(protectionOf(booted.record)).toMatchObject({ change: 2, phase: 'ending', since: 5 });
  });

  it('wait again under the next epoch when they waited under the last', () => {
    const owner = { ...inForce(), state: 'secondary-post-failback', cause: 'hand-over', epoch: 2, hold: 2 } as const;
    const closing = server('secondary', { ...owner, protection: { epoch: 2, change: 1, phase: 'in-force', since: 5 } });
    const again = after({ ...closing, peer: standbyView({}) }, { type: 'peer-lost', atMs: 100 });
    expect(again.record).toMatchObject({ hold: 4, protection: { epoch: 4, phase: 'ending', since: 5 } });
  });
});

describe('a standby', () => {
  const word = (protection: typeof IN_FORCE, sentAtMs: number, more: Partial<PeerView> = {}): HaEvent => ({
    type: 'peer-heard',
    status: { ...ownerView(protection), ...more },
    atMs: sentAtMs + 10,
    sentAtMs,
  });

  it('takes over by itself only when it was told that commits wait for it, however far the active server had written', () => {
    const standby = lost({});
    expect(automaticFailoverRefusal(standby, 0)).toContain('may have acknowledged writes');
    const told = after(standby, word(IN_FORCE, 0, { lsn: '0/9000000' }));
    expect(automaticFailoverRefusal(told, 1000)).toBeNull();
    expect(automaticFailoverRefusal(after(told, word(EXPOSED, 1000)), 2000)).toContain('may have acknowledged writes');
  });

  it('does not believe a word that comes late', () => {
    const exposed = after(lost({}), word(EXPOSED, 1000));
    expect(toldProtection(exposed.record)).toEqual(EXPOSED);
    expect(automaticFailoverRefusal(after(exposed, word(IN_FORCE, 900)), 2000)).toContain('may have acknowledged');
  });

  it('believes it without a witness for its time only, and not over its own start', () => {
    const told = after(lost({}), word(IN_FORCE, 0));
    expect(automaticFailoverRefusal(told, 40_000)).toBeNull();
    expect(automaticFailoverRefusal(told, 40_001)).toContain('for so long');
    const restarted = { ...atStart(told.record, SYNCHRONOUS, 100), database: told.database };
    expect(automaticFailoverRefusal(restarted, 200)).toContain('for so long');
  });

  it('believes it with a witness when the lease says so under that epoch', () => {
    const told = after(lost({}, WITH_WITNESS), word(IN_FORCE, 0));
    const seen = (
      holder: Server['witness'] extends infer W ? (NonNullable<W> extends { holder: infer H } ? H : never) : never,
    ) => automaticFailoverRefusal(after(told, witnessed(holder, 1000)), 900_000);
    expect(seen(null)).toContain('the witness does not know');
    expect(seen({ role: 'primary', epoch: 1 })).toContain('the witness does not know');
    expect(seen({ role: 'primary', epoch: 1, protection: EXPOSED })).toContain('has not told');
    expect(seen({ role: 'primary', epoch: 1, protection: IN_FORCE })).toBeNull();
  });

  it('asks a primary that has failed for the role whatever it was told: nothing is lost by a hand-over', () => {
    const standby = after(lost({ state: 'secondary-syncing', failoverType: 'automatic' }), word(EXPOSED, 0));
    const failed = { ...ownerView(EXPOSED), state: 'primary-uncertain' } as const;
    const hears = (server: Server) => decide(server, heard(failed, 20)).server;
    expect(hears(hears(standby)).record).toMatchObject({ state: 'secondary-failover', cause: 'hand-over' });
    const observing = { ...standby, record: { ...standby.record, failoverType: 'observe' } } as const;
    const observed = { ...failed, failoverType: 'observe' } as const;
    const said = decide(decide(observing, heard(observed, 20)).server, heard(observed, 30));
    expect(said.rule?.id).toBe('S-39');
  });

  it('has its operator accept a loss when it may miss something, and only then', () => {
    const order = { type: 'operator-failover', operationId: 'o', acceptDataLoss: false, atMs: 5000 } as const;
    const told = { ...after(lost({}), word(IN_FORCE, 0)), link: 'confirmed-lost' } as const;
    expect(actionRefusal(told, order.type, 5000, order)).toBeNull();
    const exposed = { ...after(lost({}), word(EXPOSED, 0)), link: 'confirmed-lost' } as const;
    expect(actionRefusal(exposed, order.type, 5000, order)).toContain('acceptDataLoss');
  });

  it('that consents may miss what is acknowledged afterwards, whatever it is told late', () => {
    const told = after(lost({ armed: false }), word(IN_FORCE, 0));
    const consented = after(told, { type: 'consent-requested', epoch: 3, nonce: 'n', ...FRESH, atMs: 100 });
    expect(consented.record.promised).not.toBeNull();
    expect(toldProtection(after(consented, word(IN_FORCE, 50)).record)).toEqual({
      epoch: 3,
      change: 0,
      inForce: false,
    });
  });
});

function after(server: Server, event: HaEvent): Server {
  return decide(server, event).server;
}

function server(role: 'primary' | 'secondary', record: Partial<ServerRecord>, settings = SYNCHRONOUS): Server {
  const base = atStart({ ...newRecord(role, 'run'), pairId: 'pair', complete: true, ...record }, settings, 0);
  return { ...base, link: 'up', applicationSeen: true, peerGrantUntilMs: Number.MAX_SAFE_INTEGER };
}

function primary(record: Partial<ServerRecord>, settings = SYNCHRONOUS): Server {
  const owner = { state: 'primary-active', epoch: 1, hold: 1, lineage: 1, opened: true } as const;
  return { ...server('primary', { ...owner, ...record }, settings), peer: standbyView({}), database: view({}) };
}

function inForce() {
  return { opened: true, protection: { epoch: 1, change: 1, phase: 'in-force', since: 5 } } as const;
}

/** A primary whose standby is gone while its commits wait for it. */
function exposing(settings: Settings): Server {
  const alone = after({ ...primary(inForce(), settings), lastEventAtMs: 3000 }, { ...observed({}), atMs: 3000 });
  expect(protectionOf(alone.record).phase).toBe('ending');
  return alone;
}

/** A secondary that follows, and does not hear its primary. */
function lost(record: Partial<ServerRecord>, settings = SYNCHRONOUS): Server {
  const following = {
    state: 'secondary-lost-primary',
    failoverType: 'automatic',
    epoch: 1,
    lineage: 1,
    armed: true,
  } as const;
  return { ...server('secondary', { ...following, ...record }, settings), database: view({}) };
}

function view(change: Partial<DatabaseView>): DatabaseView {
  return { ...RUNNING, lsn: '0/2000000', lagBytes: 0, ...change };
}

function observed(change: Partial<DatabaseView>): HaEvent {
  return { type: 'database-observed', database: view(change), atMs: 10 };
}

function heard(status: PeerView, atMs: number): HaEvent {
  return { type: 'peer-heard', status, atMs };
}

function witnessed(holder: NonNullable<Server['witness']>['holder'], atMs: number): HaEvent {
  return { type: 'witness-observed', witness: { reachable: true, leaseUntilMs: null, holder, takeableAtMs: 0 }, atMs };
}

function ownerView(protection: PeerView['protection']): PeerView {
  return {
    ...standbyView({ protection }),
    role: 'primary',
    state: 'primary-lost-secondary',
    hold: 1,
    serving: true,
    lsn: '0/2000000',
  };
}

function standbyView(change: Partial<PeerView>): PeerView {
  return {
    pairId: 'pair',
    role: 'secondary',
    state: 'secondary-syncing',
    runId: 'p',
    epoch: 1,
    hold: 0,
    lineage: 1,
    serving: false,
    complete: true,
    finalLsn: null,
    lsn: null,
    lagBytes: 0,
    streaming: true,
    databaseUsable: true,
    processesOk: true,
    stopping: false,
    grants: true,
    doubted: false,
    operation: null,
    failoverType: 'automatic',
    protection: { epoch: 0, change: 0, inForce: false },
    ...change,
  };
}
