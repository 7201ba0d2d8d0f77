import { describe, expect, it } from '@jest/globals';
import { actionRefusal } from './actions.ts';
import { decide } from './decide.ts';
import type { HaEvent } from './events.ts';
import { doubtedRecord } from './lost-record.ts';
import { atStart, newRecord, type PeerView, type Server, type ServerRecord, toldOfRecord } from './server.ts';
import type { ServerRole } from './states.ts';
import { RUNNING, SETTINGS } from './testing/views.ts';

const LEFT = { pairId: 'pair', epoch: 1000, doubt: 'the journal is gone' };
const DATABASE = { ...RUNNING, running: false, usable: false, lsn: '0/2000000', lagBytes: 0 };

/** A server that was started without its record and has closed everything. */
function started(role: ServerRole, found: ServerRecord | null = null): Server {
  const fresh = atStart(doubtedRecord(role, found, LEFT), SETTINGS, 0);
  const { server: booted } = decide(fresh, { type: 'boot', runId: 'run', sameRun: false, atMs: 0 });
  const decisionId = booted.record.inFlight?.decisionId ?? '';
  const { server: closed } = decide(booted, { type: 'effects-completed', decisionId, results: {}, atMs: 1 });
  return { ...closed, database: DATABASE };
}

/** What a server of that record tells its peer. */
function told(role: ServerRole, record: Partial<ServerRecord>, view: Partial<PeerView> = {}): PeerView {
  return {
    ...toldOfRecord({ ...newRecord(role, 'its run'), pairId: 'pair', complete: true, ...record }),
    lsn: '0/2000000',
    lagBytes: null,
    streaming: false,
    databaseUsable: true,
    processesOk: true,
    stopping: false,
    grants: true,
    ...view,
  };
}

const heard = (status: PeerView, atMs = 20_000): HaEvent => ({ type: 'peer-heard', status, atMs });
const lost = (server: Server) => decide(server, { type: 'peer-confirmed-lost', atMs: 30_000 }).server;
const doubtedPeer = (role: ServerRole) => toldOfRecord(started(role).record);

describe('a server that has lost its record', () => {
  it.each([
    ['P-109', 'primary', 'primary-alone'],
    ['S-149', 'secondary', 'secondary-lost-primary'],
  ] as const)(
    '%s: closes everything at its start and owns nothing, whatever an older record says',
    (id, role, state) => {
      const owner = { ...newRecord(role, 'run'), pairId: 'pair', state, hold: 7, epoch: 7, armed: true, opened: true };
      for (const found of [null, owner]) {
        const server = atStart(doubtedRecord(role, found, LEFT), SETTINGS, 0);
        const decision = decide(server, { type: 'boot', runId: 'run', sameRun: false, atMs: 5 });
        expect(decision.rule?.id).toBe(id);
        expect(decision.effects?.map(({ kind }) => kind)).toEqual(['stop-processes', 'stop-database']);
        expect(decision.server.record).toMatchObject({ state, hold: 0, opened: false, armed: false, epoch: 1000 });
        // a consent may have been given the moment before
        expect(decision.server.record.promised?.untilMs).toBe(12_005);
      }
    },
  );

  it.each(['primary', 'secondary'] as const)('asks for nothing and takes nothing by itself (%s)', (role) => {
    const other = role === 'primary' ? 'secondary' : 'primary';
    const peers = [
      told(other, { state: other === 'primary' ? 'primary-alone' : 'secondary-lost-primary' }),
      told(other, { lineage: other === 'primary' ? 1 : 2, hold: other === 'primary' ? 1 : 2 }),
      { ...told(other, {}), ...doubtedPeer(other) },
    ];
    for (const status of peers) {
      const decision = decide(started(role), heard(status));
      expect(decision.effects ?? []).toEqual([]);
      expect(decision.server.record).toMatchObject({ hold: 0, request: null });
    }
    const ticked = decide(lost(started(role)), { type: 'tick', unixMs: 0, atMs: 400_000 });
    expect(ticked.rule).toBeNull();
  });

  it.each([
    ['P-180', 'primary', 3],
    ['S-180', 'secondary', 4],
  ] as const)('%s: believes a peer that knows it as the last owner, and only then', (id, role, ownEpoch) => {
    const other = role === 'primary' ? 'secondary' : 'primary';
    const decision = decide(started(role), heard(told(other, { lineage: ownEpoch, epoch: ownEpoch })));
    expect(decision.rule?.id).toBe(id);
    expect(decision.server.record).toMatchObject({ doubt: null, lineage: ownEpoch, hold: 0 });
    const others = [
      told(other, { lineage: ownEpoch + 1 }), // the peer itself was the last owner that it knows of
      told(other, { lineage: ownEpoch, doubt: 'lost too' }),
      told(other, { lineage: ownEpoch, complete: false }),
      told(other, { lineage: ownEpoch, pairId: 'another' }),
      told(other, {}),
    ];
    for (const status of others) expect(decide(started(role), heard(status)).server.record.doubt).not.toBeNull();
  });

  it('takes the database for whole, whatever an older record says of the copy before: else a peer that lacks its data would serve', () => {
    const found = { ...newRecord('secondary', 'old run'), pairId: 'pair', complete: false };
    expect(toldOfRecord(started('secondary', found).record)).toMatchObject({ complete: true, doubted: true });
  });

  it('P-70, P-86: follows an active secondary, and is whole again once it is in sync', () => {
    const active = told('secondary', { state: 'secondary-active', hold: 4, epoch: 4, opened: true });
    const following = decide(started('primary'), heard(active));
    expect(following.rule?.id).toBe('P-70');
    expect(following.server.record.doubt).not.toBeNull();
    const decisionId = following.decisionId ?? '';
    const done = decide(following.server, { type: 'effects-completed', decisionId, results: {}, atMs: 21_000 });
    const { record } = decide(done.server, heard(active, 22_000)).server;
    expect(record).toMatchObject({ state: 'primary-syncing', doubt: null, lineage: 4 });
    expect(record.epoch).toBe(1000);
  });

  it.each([
    ['P-181', 'primary'],
    ['S-181', 'secondary'],
  ] as const)('%s: gives up the registration that it was in, and deletes nothing', (id, role) => {
    const other = role === 'primary' ? 'secondary' : 'primary';
    const decision = decide(started(role), heard(told(other, { state: 'ha-initializing', complete: false })));
    expect(decision.rule?.id).toBe(id);
    expect(decision.server.record).toMatchObject({ state: 'ha-not-configured', pairId: null, doubt: null });
    const retiring = decision.effects?.find((effect) => effect.kind === 'retire-pairing');
    expect(retiring).toMatchObject({ discardCopy: false });
  });

  it('P-182: waits for an operator where the server that it followed is gone too', () => {
    const alone = started('primary');
    const server = { ...alone, record: { ...alone.record, state: 'primary-preparing-for-failback' as const } };
    const decision = decide(server, heard(told('secondary', { state: 'secondary-lost-primary', lineage: 4 })));
    expect(decision.rule?.id).toBe('P-182');
    expect(decision.server.record.state).toBe('primary-alone');
  });

  it('is brought on its way by an operator who accepts that data may be lost, with or without the peer', () => {
    const order = { operationId: 'o', atMs: 40_000 };
    const alone = lost(started('primary'));
    const activate = (acceptDataLoss: boolean) =>
      ({ ...order, type: 'operator-activate-alone', acceptDataLoss }) as const;
    expect(actionRefusal(alone, 'operator-activate-alone', 40_000)).toBeNull();
    expect(decide(alone, activate(false)).refusal).toContain(LEFT.doubt);
    expect(decide(alone, activate(true)).server.record).toMatchObject({ doubt: null, hold: 1001 });
    const beside = decide(started('primary'), heard({ ...told('secondary', {}), ...doubtedPeer('secondary') })).server;
    expect(decide(beside, activate(true)).rule?.id).toBe('P-81');
    const standby = lost(started('secondary'));
    const takeOver = { ...order, type: 'operator-failover', acceptDataLoss: true } as const;
    expect(decide(standby, takeOver).server.record).toMatchObject({ doubt: null, hold: 1002 });
    const remove = { ...order, type: 'operator-remove', confirmed: true, acceptDataLoss: true } as const;
    expect(decide(alone, remove).server.record).toMatchObject({ pairId: null, doubt: null });
  });
});

describe('a server whose peer has lost its record', () => {
  it('does not ask it for consent without an order, and is offered the order', () => {
    const record = {
      ...newRecord('primary', 'run'),
      pairId: 'pair',
      state: 'primary-alone' as const,
      hold: 1,
      epoch: 1,
    };
    const server = { ...atStart(record, SETTINGS, 0), database: DATABASE };
    const { server: after, rule } = decide(server, heard({ ...told('secondary', {}), ...doubtedPeer('secondary') }));
    expect(rule).toBeNull();
    expect(actionRefusal(after, 'operator-activate-alone', 20_000)).toBeNull();
    const order = { type: 'operator-activate-alone', operationId: 'o', acceptDataLoss: false, atMs: 20_001 } as const;
    expect(decide(after, order).refusal).toContain('the secondary has lost its record');
    expect(decide(after, { ...order, acceptDataLoss: true }).rule?.id).toBe('P-81');
  });

  it('S-60: serves again as the owner, which only an order can have replaced', () => {
    const record = { ...newRecord('secondary', 'run'), pairId: 'pair', complete: true, cause: 'boot' as const };
    const owner = { ...record, state: 'secondary-failover' as const, hold: 2, epoch: 2 };
    const server = { ...atStart(owner, SETTINGS, 0), database: DATABASE };
    expect(decide(server, heard({ ...told('primary', {}), ...doubtedPeer('primary') })).rule?.id).toBe('S-60');
  });

  it('does not give it the role in a forced failback', () => {
    const record = { ...newRecord('secondary', 'run'), pairId: 'pair', complete: true, opened: true };
    const active = atStart({ ...record, state: 'secondary-active', hold: 2, epoch: 2 }, SETTINGS, 0);
    const status = told('primary', { state: 'primary-preparing-for-failback', doubt: 'lost' });
    const server = decide(active, heard(status)).server;
    const order = {
      type: 'operator-failback',
      operationId: 'o',
      force: true,
      acceptDataLoss: true,
      atMs: 20_001,
    } as const;
    expect(decide(server, order).refusal).toContain('lost its record');
  });
});

describe('a failback whose secondary loses its record', () => {
  it('P-183: is given up by the primary, which then waits for nobody', () => {
    const record: ServerRecord = {
      ...newRecord('primary', 'run'),
      pairId: 'pair',
      state: 'primary-failback',
      lineage: 2,
      epoch: 2,
      operation: { id: 'o', kind: 'failback' },
    };
    const server = { ...atStart(record, SETTINGS, 0), database: DATABASE };
    const status = { ...told('secondary', {}), ...doubtedPeer('secondary') };
    const { server: after, rule } = decide(server, heard(status, 20_000));
    expect(rule?.id).toBe('P-183');
    expect(after.record).toMatchObject({ state: 'primary-alone', operation: null });
  });
});
