import { describe, expect, it } from '@jest/globals';
import { actionRefusal } from './actions.ts';
import { CHANGES } from './changes.ts';
import { type Decision, decide, RULES } from './decide.ts';
import { HA_EVENT_TYPES, type HaEvent } from './events.ts';
import { GUARDS, rightToServeUntilMs } from './guards.ts';
import { IGNORED } from './ignored.ts';
import { missingBytes } from './lag.ts';
import { replacementRefusal } from './replacement.ts';
import { atStart, newRecord, type PeerView, type Server, type ServerRecord, toldOfRecord } from './server.ts';
import {
  configurationMode,
  HA_STATE_LABELS,
  HA_STATES,
  type HaState,
  type ServerRole,
  STATES_OF_ROLE,
} from './states.ts';
import { RUNNING, SETTINGS } from './testing/views.ts';

/** Whoever asks knows how the other stands. */
const FRESH = { knownLineage: 100, knownFinalLsn: null };

const ROLES: readonly ServerRole[] = ['primary', 'secondary'];

describe('the rule table', () => {
  const rules = ROLES.flatMap((role) => RULES[role].map((rule) => ({ role, rule })));

  it('gives every row its own id', () => {
    const ids = rules.map(({ rule }) => rule.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(rules)('$rule.id names only what exists, and stays within its role', ({ role, rule }) => {
    const states: readonly HaState[] = STATES_OF_ROLE[role];
    expect(rule.from.filter((state) => !states.includes(state))).toEqual([]);
    if (rule.to !== null) expect(states).toContain(rule.to);
    expect(rule.when.filter((name) => !(name in GUARDS))).toEqual([]);
    expect((rule.change ?? []).filter((name) => !(name in CHANGES))).toEqual([]);
    expect(rule.on.filter((type) => !(HA_EVENT_TYPES as readonly string[]).includes(type))).toEqual([]);
    expect(rule.says).not.toBe('');
    expect(rule.spec).not.toBe('');
    expect(JSON.parse(JSON.stringify(rule))).toEqual(rule);
  });

  it('has a row or a reasoned gap for every state and event', () => {
    const gaps = ROLES.flatMap((role) =>
      STATES_OF_ROLE[role].flatMap((state) =>
        HA_EVENT_TYPES.filter(
          (event) =>
            !RULES[role].some((rule) => rule.from.includes(state) && rule.on.includes(event)) &&
            !IGNORED.some(
              ({ states, events }) => (states === 'every-state' || states.includes(state)) && events.includes(event),
            ),
        ).map((event) => `${state} on ${event}`),
      ),
    );
    expect(gaps).toEqual([]);
  });

  it('leaves no state but those at rest without a row out of it', () => {
    const closed = ROLES.flatMap((role) =>
      STATES_OF_ROLE[role].filter(
        (state) =>
          state !== 'health-monitor-available' &&
          !RULES[role].some((rule) => rule.from.includes(state) && rule.to !== null && rule.to !== state),
      ),
    );
    expect(closed).toEqual([]);
  });

  it('answers any event in any state without throwing', () => {
    for (const role of ROLES) {
      for (const state of STATES_OF_ROLE[role]) {
        for (const hold of [0, 7]) {
          for (const type of HA_EVENT_TYPES)
            decide(server(role, { state, hold, epoch: 7, pairId: 'pair' }), anyEvent(type));
        }
      }
    }
  });
});

describe('the states', () => {
  it('are the specification’s nineteen and its start-up pseudo-state', () => {
    expect(HA_STATES).toHaveLength(20);
    expect(HA_STATE_LABELS['primary-preparing-for-failback']).toBe('Primary Preparing for Failback');
    expect(STATES_OF_ROLE.secondary).toContain('ha-not-configured');
    expect(STATES_OF_ROLE.secondary).not.toContain('primary-active');
  });

  it.each([
    ['primary', 'primary-active', 'secondary-syncing', 'HA Enabled'],
    ['secondary', 'secondary-active', 'primary-syncing', 'HA Enabled'],
    ['primary', 'primary-failback', 'secondary-post-failback', 'HA Enabled'],
    ['primary', 'primary-active', null, 'HA Alone'],
    ['primary', 'primary-lost-secondary', 'secondary-lost-primary', 'HA Alone'],
    ['secondary', 'ha-initializing', 'ha-initializing', 'HA Initializing'],
    ['primary', 'ha-not-configured', null, 'HA Not Configured'],
  ] as const)('%s in %s beside %s is %s', (role, state, peer, mode) => {
    expect(configurationMode({ role, state }, peer)).toBe(mode);
  });
});

describe('decisions', () => {
  it('drop the outcome of an older decision', () => {
    const before = server('secondary', {
      state: 'secondary-failover',
      hold: 2,
      epoch: 2,
      inFlight: { decisionId: 'new', effects: [{ kind: 'start-processes', epoch: 2 }] },
    });
    const decision = decide(before, { type: 'effects-completed', decisionId: 'old', results: {}, atMs: 1 });
    expect(decision.server).toBe(before);
    expect(decision.rule).toBeNull();
  });

  it('refuse an automatic failover during the hold-down and say how long it lasts', () => {
    const held = { ...lost({ lastAutomaticFailoverAtMs: 900_000 }), link: 'confirmed-lost' as const };
    expect(decide(held, { type: 'peer-confirmed-lost', atMs: 1_000_000 }).rule).toBeNull();
    expect(decide(held, { type: 'peer-confirmed-lost', atMs: 1_300_000 }).rule?.id).toBe('S-40');
  });

  it.each([
    ['a lag above the limit', { peer: peer({ lsn: '0/3000010' }) }],
    ['an incomplete copy', { record: { complete: false } }],
    ['a primary that served without this standby', { record: { behind: true } }],
    ['a standby that was not in sync', { record: { armed: false } }],
    ['the manual failover type', { record: { failoverType: 'manual' as const } }],
  ])('refuse an automatic failover with %s', (_, change: { peer?: PeerView; record?: Partial<ServerRecord> }) => {
    const base = lost(change.record ?? {});
    const decision = decide({ ...base, peer: change.peer ?? base.peer }, { type: 'peer-confirmed-lost', atMs: 1000 });
    expect(decision.rule).toBeNull();
  });

  it('need the operator’s word when data are known to be missing', () => {
    const missing = { ...lost({ failoverType: 'manual' }), link: 'lost' as const, peer: peer({ lsn: '0/2000010' }) };
    const refused = decide(missing, { type: 'operator-failover', operationId: 'o', acceptDataLoss: false, atMs: 1000 });
    expect(refused.rule).toBeNull();
    expect(refused.refusal).toContain('16 bytes');
    expect(
      decide(missing, { type: 'operator-failover', operationId: 'o', acceptDataLoss: true, atMs: 1000 }).rule?.id,
    ).toBe('S-42');
  });

  it('weigh what the peer was known to have although its last status could not tell', () => {
    const before = { ...lost({ state: 'secondary-syncing' }), link: 'up' as const };
    const ahead = decide(before, { type: 'peer-heard', status: peer({ lsn: '0/3000010' }), atMs: 1000 }).server;
    const blind = decide(ahead, { type: 'peer-heard', status: peer({ lsn: null }), atMs: 2000 }).server;
    expect(missingBytes(blind)).toBe(0x1000010);
  });

  it('weigh what the peer was known to have after the manager was restarted', () => {
    const before = { ...lost({ state: 'secondary-syncing' }), link: 'up' as const };
    const ahead = decide(before, { type: 'peer-heard', status: peer({ lsn: '0/2000010' }), atMs: 1000 }).server;
    const alone = decide(ahead, { type: 'peer-lost', atMs: 5000 }).server;
    const restarted = { ...atStart(alone.record, SETTINGS, 0), database: before.database };
    expect(missingBytes(restarted)).toBe(16);
    const refused = decide(
      { ...restarted, link: 'confirmed-lost', database: null },
      { type: 'peer-confirmed-lost', atMs: 9000 },
    );
    expect(refused.rule).toBeNull();
    expect(decide({ ...restarted, link: 'confirmed-lost' }, { type: 'tick', unixMs: 0, atMs: 9000 }).rule?.id).toBe(
      'S-40',
    );
  });

  it('count a standby as in sync by what the active server says that it lacks, and do not disarm one that was in sync', () => {
    const following = {
      ...lost({ state: 'secondary-lost-primary', armed: false, peerRunIdInSync: 'p' }),
      link: 'up' as const,
    };
    const streams = { ...following, database: following.database && { ...following.database, streaming: true } };
    const heard = (server: Server, lagBytes: number | null) =>
      decide(server, { type: 'peer-heard', status: peer({ lagBytes }), atMs: 1000 });
    expect(heard(streams, 16_777_217).rule).toBeNull();
    const inSync = heard(streams, 16_777_216);
    expect(inSync.rule?.id).toBe('S-30');
    const armed = heard(inSync.server, 0).server;
    expect(armed.record.armed).toBe(true);
    expect(heard(armed, 20_000_000).server.record.armed).toBe(true);
  });

  it('know at once that a later owner has data that this server lacks', () => {
    const alone = { ...server('primary', { state: 'primary-alone', pairId: 'pair', epoch: 1, lineage: 1 }) };
    const active = peer({ role: 'secondary', state: 'secondary-active', epoch: 2, hold: 2, lineage: 2 });
    const heard = decide(alone, { type: 'peer-heard', status: active, atMs: 10 }).server;
    expect(heard.record.behind).toBe(true);
    const record = { ...heard.record, state: 'primary-alone' as const, inFlight: null };
    const gone = { ...heard, link: 'lost' as const, record };
    const order = { type: 'operator-activate-alone', operationId: 'o', atMs: 100_000 } as const;
    expect(actionRefusal(gone, order.type, order.atMs)).toBeNull();
    expect(actionRefusal(gone, order.type, order.atMs, { ...order, acceptDataLoss: false })).toContain(
      'acceptDataLoss',
    );
    expect(actionRefusal(gone, order.type, order.atMs, { ...order, acceptDataLoss: true })).toBeNull();
  });

  it('keep the lineage of what was written under the role when the server closes itself', () => {
    const witness = { kind: 'nats', leaseMs: 4000, fenceMs: 1000 } as const;
    const base = server('primary', {
      state: 'primary-active',
      pairId: 'pair',
      epoch: 1,
      hold: 1,
      lineage: 0,
      opened: true,
    });
    const serving = { ...base, settings: { ...SETTINGS, witness }, peerGrantUntilMs: 10_000 };
    expect(decide(serving, { type: 'tick', unixMs: 0, atMs: 8999 }).rule?.id).not.toBe('P-140');
    const closed = decide(serving, { type: 'tick', unixMs: 0, atMs: 9000 });
    expect(closed.rule?.id).toBe('P-140');
    expect(closed.effects?.map(({ kind }) => kind)).toEqual(['fence']);
    expect(closed.server.record).toMatchObject({ hold: 0, lineage: 1, opened: false, closing: true });
  });

  it('limit the right to serve by what was granted, by the end of maintenance, and until what is handed over is closed', () => {
    const witness = { kind: 'nats', leaseMs: 4000, fenceMs: 1000 } as const;
    const maintenance = { reason: '', minutes: 1, untilMs: 60_000, untilUnixMs: 0, runId: 'r' };
    const right = (more: Partial<ServerRecord>, isDatabaseRunning = false) => {
      const base = server('primary', {
        state: 'primary-active',
        pairId: 'pair',
        runId: 'r',
        hold: 1,
        epoch: 1,
        ...more,
      });
      const database = { ...RUNNING, running: isDatabaseRunning };
      return rightToServeUntilMs({ ...base, database, settings: { ...SETTINGS, witness }, peerGrantUntilMs: 10_000 });
    };
    expect(right({ opened: true })).toBe(10_000);
    expect(right({ opened: true, maintenance })).toBe(61_000);
    expect(right({ opened: true, maintenance: { ...maintenance, runId: 'before' } })).toBeNull();
    expect(right({ closing: true, cause: 'hand-over' })).toBe(10_000);
    expect(right({ closing: true, cause: 'boot' })).toBeNull();
    expect(right({ closing: true, hold: 0, cause: 'fenced' })).toBe(10_000);
    expect(right({ closing: true, hold: 0, cause: 'superseded' })).toBeNull();
    expect(right({})).toBeNull();
    // an opening has failed after the database was open
    expect(right({}, true)).toBe(10_000);
    expect(right({ closing: true, cause: 'boot' }, true)).toBeNull();
    expect(right({ hold: 0 }, true)).toBeNull();
  });

  it('do not open again, or go on opening, what has no right to serve any more', () => {
    const witness = { kind: 'nats', leaseMs: 4000, fenceMs: 1000 } as const;
    const opening = {
      decisionId: 'd',
      effects: [{ kind: 'open-database', epoch: 1 }],
    } as const;
    const owning = { pairId: 'pair', epoch: 1, hold: 1, lineage: 1 } as const;
    const cases = [
      ['primary-failover', { cause: 'hand-over' }, { type: 'peer-lost' }],
      [
        'primary-failover',
        { cause: 'hand-over', operation: { id: 'o', kind: 'forced-failover' } },
        { type: 'operator-cancel' },
      ],
      ['primary-uncertain', {}, { type: 'tick', unixMs: 0 }],
      ['primary-alone', { cause: 'solo', inFlight: opening }, { type: 'tick', unixMs: 0 }],
      ['primary-failback', { inFlight: opening }, { type: 'tick', unixMs: 0 }],
    ] as const;
    for (const [state, more, event] of cases) {
      const base = server('primary', { state, ...owning, ...more } as never);
      const at = (atMs: number) =>
        decide({ ...base, settings: { ...SETTINGS, witness }, peerGrantUntilMs: 10_000 }, {
          ...event,
          atMs,
        } as HaEvent);
      expect(at(8999).rule?.id).not.toBe('P-140');
      expect([state, at(9000).rule?.id]).toEqual([state, 'P-140']);
    }
  });

  it('discard the copy of a registration that was given up, and never a whole one', () => {
    const dissolved = (complete: boolean) => {
      const gone = server('secondary', { state: 'secondary-syncing', pairId: 'pair', complete });
      const decision = decide(gone, { type: 'pair-dissolved', pairId: 'pair', atMs: 1 });
      return decision.effects?.find(({ kind }) => kind === 'retire-pairing');
    };
    expect(dissolved(true)).toMatchObject({ discardCopy: false });
    expect(dissolved(false)).toMatchObject({ discardCopy: true });
  });

  it('go on cleaning up on a primary that serves alone already, until it has succeeded', () => {
    const effects = [{ kind: 'retire-pairing' as const, epoch: 1, discardCopy: false }];
    const removed = server('primary', {
      state: 'ha-not-configured',
      opened: true,
      operation: { id: 'o', kind: 'remove' },
      inFlight: { decisionId: 'd', effects },
    });
    const failure = {
      type: 'effect-failed',
      decisionId: 'd',
      effect: 'retire-pairing',
      code: 'x',
      message: '',
    } as const;
    const failed = { ...decide(removed, { ...failure, atMs: 1 }).server, applicationSeen: true };
    expect(decide(failed, { type: 'tick', unixMs: 0, atMs: 2000 }).rule).toBeNull();
    const again = decide(failed, { type: 'tick', unixMs: 0, atMs: 6000 });
    expect(again.rule?.id).toBe('P-128');
    const { server: done } = decide(again.server, {
      type: 'effects-completed',
      decisionId: again.decisionId ?? '',
      results: {},
      atMs: 6100,
    });
    expect(decide(done, { type: 'tick', unixMs: 0, atMs: 20_000 }).rule).toBeNull();
  });

  it('do not follow again what follows, although no database was observed yet since the manager started', () => {
    const effects = [{ kind: 'follow-peer' as const, epoch: 2, forceCopy: true, lastInSyncUnixMs: null }];
    const copying = server('primary', {
      state: 'primary-database-copy-failed',
      pairId: 'pair',
      epoch: 2,
      inFlight: { decisionId: 'd', effects },
    });
    const active = peer({ role: 'secondary', state: 'secondary-active', hold: 2, lineage: 2 });
    const heard = { ...copying, link: 'up' as const, peer: active, database: null };
    const done = decide(heard, { type: 'effects-completed', decisionId: 'd', results: {}, atMs: 10 });
    expect(done.rule?.id).toBe('P-90');
  });

  it('keep a database usable whose replacement could not be copied', () => {
    const effects = [{ kind: 'follow-peer' as const, epoch: 0, forceCopy: false, lastInSyncUnixMs: null }];
    const following = server('secondary', {
      state: 'secondary-uncertain',
      pairId: 'pair',
      complete: true,
      inFlight: { decisionId: 'd', effects },
    });
    const failed = { type: 'effect-failed', decisionId: 'd', effect: 'follow-peer', message: '', atMs: 1 } as const;
    expect(decide(following, { ...failed, code: 'copy-not-made' }).server.record.complete).toBe(true);
    expect(decide(following, { ...failed, code: 'copy-failed' }).server.record.complete).toBe(false);
  });

  it('take the role on an operator’s order only with the lease, whatever the state, where there is a witness', () => {
    const order = { type: 'operator-failover', operationId: 'o', acceptDataLoss: true, atMs: 100_000 } as const;
    const holder = { role: 'secondary', epoch: 2 } as const;
    const seen = { reachable: true, leaseUntilMs: null, holder, takeableAtMs: 0 };
    for (const state of ['secondary-lost-primary', 'secondary-alone', 'secondary-uncertain'] as const) {
      const base = { ...lost({ state, lineage: 2 }), link: 'confirmed-lost' as const };
      const withWitness = {
        ...base,
        settings: { ...SETTINGS, witness: { kind: 'nats', leaseMs: 4000, fenceMs: 1000 } as const },
        witness: seen,
      };
      expect([state, decide(withWitness, order).rule?.id]).toEqual([state, 'S-145']);
      expect([state, decide(base, order).rule?.id]).toEqual([state, 'S-42']);
    }
  });

  it('let an operator fail over at once when the primary dies right after it got the consent to a failback', () => {
    const consented = {
      ...lost({ state: 'secondary-post-failback', operation: { id: 'f', kind: 'failback' } }),
      link: 'confirmed-lost' as const,
    };
    const order = { type: 'operator-failover', operationId: 'o', acceptDataLoss: true, atMs: 100_000 } as const;
    const decision = decide(consented, order);
    expect(decision.rule?.id).toBe('S-42');
    expect(decision.operationEnded).toMatchObject({ id: 'f', succeeded: false });
    expect(decision.server.record.operation).toEqual({ id: 'o', kind: 'failover' });
  });

  it('do not call a failback a success when the primary cannot serve, and follow its database all the same', () => {
    const failed = peer({ state: 'primary-uncertain', epoch: 3, hold: 3, lineage: 3, serving: false });
    const record = { state: 'secondary-post-failback', operation: { id: 'f', kind: 'failback' }, epoch: 3 } as const;
    const consented: Server = {
      ...lost(record),
      link: 'up',
      peer: failed,
      database: { ...RUNNING, running: false, streaming: false },
    };
    const left = decide(consented, { type: 'tick', atMs: 100_000, unixMs: 0 });
    expect([left.rule?.id, left.operationEnded]).toMatchObject(['S-94', { id: 'f', succeeded: false }]);
    const { rule, effects } = decide(left.server, { type: 'tick', atMs: 100_500, unixMs: 0 });
    expect([rule?.id, effects]).toMatchObject(['S-34', [{ kind: 'follow-peer' }]]);
    const dead = { ...left.server, peer: { ...failed, databaseUsable: false } };
    expect(decide(dead, { type: 'tick', atMs: 100_500, unixMs: 0 }).rule).toBeNull();
  });

  it('let an owner that was restarted during maintenance serve again when the witness knows of nobody else', () => {
    const witness = { kind: 'nats', leaseMs: 4000, fenceMs: 1000 } as const;
    const maintenance = { reason: '', minutes: 600, untilMs: 0, untilUnixMs: 36_000_000, runId: 'before' };
    const rebooted = server('primary', {
      state: 'primary-alone',
      pairId: 'pair',
      epoch: 3,
      hold: 3,
      lineage: 3,
      complete: true,
      cause: 'boot',
      maintenance,
    });
    const asks = (holder: { role: ServerRole; epoch: number }) =>
      decide(
        {
          ...rebooted,
          settings: { ...SETTINGS, witness },
          link: 'confirmed-lost',
          witness: { reachable: true, leaseUntilMs: null, holder, takeableAtMs: 0 },
        },
        { type: 'tick', unixMs: 1000, atMs: 100_000 },
      ).rule?.id;
    expect(asks({ role: 'primary', epoch: 3 })).toBe('P-146');
    expect(asks({ role: 'secondary', epoch: 4 })).toBeUndefined();
  });

  it('remember over a restart that a server has closed itself', () => {
    const fenced = server('secondary', { state: 'secondary-lost-primary', pairId: 'pair', cause: 'fenced' });
    expect(decide(fenced, { type: 'boot', runId: 'r', sameRun: false, atMs: 1 }).server.record.cause).toBe('fenced');
    const other = server('secondary', { state: 'secondary-lost-primary', pairId: 'pair', cause: null });
    expect(decide(other, { type: 'boot', runId: 'r', sameRun: false, atMs: 1 }).server.record.cause).toBe('boot');
  });

  it('mint odd epochs on the primary and even ones on the secondary', () => {
    const taken = decide(
      { ...lost({ epoch: 5 }), link: 'confirmed-lost' },
      { type: 'peer-confirmed-lost', atMs: 1000 },
    );
    expect(taken.server.record.hold).toBe(6);
  });

  it('give consent for an epoch of the peer only, and only when nothing is served', () => {
    const standby = server('secondary', { state: 'secondary-lost-primary', pairId: 'pair', epoch: 3 });
    expect(
      decide(standby, { type: 'consent-requested', epoch: 5, nonce: 'n', ...FRESH, atMs: 1 }).server.record.promised
        ?.epoch,
    ).toBe(5);
    expect(decide(standby, { type: 'consent-requested', epoch: 4, nonce: 'n', ...FRESH, atMs: 1 }).rule).toBeNull();
    expect(decide(standby, { type: 'consent-requested', epoch: 1, nonce: 'n', ...FRESH, atMs: 1 }).rule).toBeNull();
    const active = server('secondary', { state: 'secondary-active', pairId: 'pair', epoch: 4, hold: 4, opened: true });
    expect(decide(active, { type: 'consent-requested', epoch: 5, nonce: 'n', ...FRESH, atMs: 1 }).rule).toBeNull();
  });

  it('say why they refuse their consent', () => {
    const base: Partial<ServerRecord> = { state: 'primary-alone', pairId: 'pair', epoch: 7 };
    const refusalOf = (record: Partial<ServerRecord>, epoch = 8) =>
      decide(server('primary', { ...base, ...record }), {
        type: 'consent-requested',
        epoch,
        nonce: 'n',
        ...FRESH,
        atMs: 1,
      }).refusal;
    expect(refusalOf({})).toBeNull();
    expect(refusalOf({ opened: true })).toBe('it serves');
    expect(refusalOf({ closing: true })).toContain('not known to be closed');
    expect(refusalOf({ hold: 7 })).toBe('it owns the role under epoch 7');
    expect(refusalOf({ epoch: 9 })).toBe('it knows of epoch 9, later than 8');
    expect(refusalOf({ lineage: 7 })).toBeNull();
    expect(refusalOf({ state: 'ha-not-configured', pairId: null })).toBe('not possible in ha-not-configured');
  });

  it('ask no server for consent that is of no pair any more', () => {
    const alone = {
      ...server('primary', { state: 'primary-alone', pairId: 'pair', epoch: 1, lineage: 1, complete: true }),
    };
    const asks = (pairId: string | null) => {
      const status = peer({
        role: 'secondary',
        state: 'secondary-lost-primary',
        hold: 0,
        serving: false,
        pairId,
        lineage: 1,
        lsn: '0/1',
      });
      const known = { ...alone, database: { ...lost({}).database, lsn: '0/1' } } as Server;
      return decide(known, { type: 'peer-heard', status, atMs: 100_000 }).rule?.id;
    };
    expect(asks('pair')).toBe('P-71');
    expect(asks(null)).toBeUndefined();
  });

  /** An owner after its start, and what its peer without the role says of its data. */
  function decidesBeside(role: ServerRole, own: string, status: Partial<PeerView>): Decision {
    const state = role === 'primary' ? 'primary-alone' : 'secondary-failover';
    const record = { state, cause: 'boot', pairId: 'pair', epoch: 8, hold: 7, lineage: 7, complete: true } as const;
    const known = { ...server(role, record), database: { ...RUNNING, running: false, usable: false, lsn: own } };
    const other = role === 'primary' ? 'secondary-lost-primary' : 'primary-alone';
    const waiting = { state: other, hold: 0, lineage: 7, serving: false, ...status } as const;
    return decide(known, { type: 'peer-heard', status: peer(waiting), atMs: 1000 });
  }

  it.each([
    ['primary', 'P-97', 'P-71'],
    ['secondary', 'S-64', 'S-60'],
  ] as const)('let a %s go by %s when an older copy is in the place of its database', (role, gives, goesOn) => {
    const older = decidesBeside(role, '0/2000000', { lsn: '0/3000000' });
    expect(older.rule?.id).toBe(gives);
    expect(older.server.record).toMatchObject({ hold: 0, request: null });
    // the last record of a crashed log may have reached the other server in part
    expect(decidesBeside(role, '0/2FF0000', { lsn: '0/3000000' }).rule?.id).toBe(goesOn);
    expect(decidesBeside(role, '0/3000000', { lsn: '0/2000000' }).rule?.id).toBe(goesOn);
    // what it had of an earlier owner, or nobody knows of whom, says nothing
    expect(decidesBeside(role, '0/2000000', { lsn: '0/3000000', lineage: 6 }).rule?.id).toBe(goesOn);
    expect(decidesBeside(role, '0/2000000', { lsn: '0/3000000', complete: false }).rule?.id).toBe(goesOn);
  });

  it('know exactly where the data end when the database was stopped', () => {
    const closing = server('primary', {
      state: 'primary-alone',
      pairId: 'pair',
      inFlight: { decisionId: 'd', effects: [{ kind: 'stop-database', epoch: 7 }] },
    });
    const before = { ...closing, database: { ...RUNNING, lsn: '0/2000000' } };
    const stopped = {
      type: 'effects-completed',
      decisionId: 'd',
      results: { finalLsn: '0/3000000' },
      atMs: 1,
    } as const;
    expect(decide(before, stopped).server.database?.lsn).toBe('0/3000000');
  });

  it('do not take a consent that comes too late', () => {
    const asking = server('primary', {
      state: 'primary-alone',
      pairId: 'pair',
      epoch: 5,
      request: { epoch: 5, nonce: 'n', sentAtMs: 0 },
    });
    expect(decide(asking, { type: 'consent-answered', nonce: 'n', granted: true, atMs: 9000 }).rule?.id).toBe('P-72');
    expect(decide(asking, { type: 'consent-answered', nonce: 'n', granted: true, atMs: 11_000 }).rule).toBeNull();
    expect(decide(asking, { type: 'consent-answered', nonce: 'm', granted: true, atMs: 1 }).rule).toBeNull();
  });
});

describe('a server that was interrupted or has failed', () => {
  const up = { link: 'up' as const };
  const usable = lost({}).database;

  it('takes part in the pair when the primary has committed the registration and does not serve any more', () => {
    const waiting = { ...server('secondary', { state: 'ha-initializing', pairId: 'pair', complete: true }), ...up };
    const rebooted = peer({ state: 'primary-alone', serving: false });
    const heard = decide(waiting, { type: 'peer-heard', status: rebooted, atMs: 10 });
    expect(heard.server.record.state).toBe('secondary-lost-primary');
    expect(decide(heard.server, { type: 'consent-requested', epoch: 3, nonce: 'n', ...FRESH, atMs: 20 }).rule?.id).toBe(
      'S-9',
    );
  });

  it('keeps a whole copy when the primary cannot be followed within a registration', () => {
    const effects = [{ kind: 'follow-peer' as const, epoch: 0, forceCopy: false, lastInSyncUnixMs: null }];
    const inFlight = { decisionId: 'd', effects };
    const waiting = server('secondary', { state: 'ha-initializing', pairId: 'pair', complete: true, inFlight });
    const failed = { type: 'effect-failed', decisionId: 'd', effect: 'follow-peer', message: '' } as const;
    const decision = decide(waiting, { ...failed, code: 'copy-failed', atMs: 10 });
    expect(decision.server.record).toMatchObject({ state: 'ha-initializing', pairId: 'pair', complete: true });
  });

  it('asks for the role again only after a pause when it could not be promoted', () => {
    const promotes = [{ kind: 'promote-database' as const, epoch: 5, requiredLsn: null }];
    const promoting = server('secondary', {
      ...{ state: 'secondary-failover', pairId: 'pair', complete: true, epoch: 5, hold: 5, lineage: 4 },
      inFlight: { decisionId: 'd', effects: promotes },
    });
    const status = peer({ state: 'primary-alone', serving: false, epoch: 5, hold: 0, lineage: 2 });
    const heard = { type: 'peer-heard', status } as const;
    const known = decide({ ...promoting, ...up, database: usable }, { ...heard, atMs: 1 }).server;
    const failed = {
      type: 'effect-failed',
      decisionId: 'd',
      effect: 'promote-database',
      code: 'start-failed',
    } as const;
    const released = decide(known, { ...failed, message: '', atMs: 10 });
    expect(released.rule?.id).toBe('S-54');
    const decisionId = released.server.record.inFlight?.decisionId ?? '';
    const closed = decide(released.server, { type: 'effects-completed', decisionId, results: {}, atMs: 20 });
    expect(closed.rule).toBeNull();
    expect(decide(closed.server, { ...heard, atMs: 4000 }).rule).toBeNull();
    expect(decide(closed.server, { ...heard, atMs: 6000 }).rule?.id).toBe('S-48');
  });

  it('gives no consent until what could not be closed is closed', () => {
    const effects = [
      { kind: 'stop-processes' as const, epoch: 2 },
      { kind: 'stop-database' as const, epoch: 2 },
    ];
    const closing = server('secondary', {
      state: 'secondary-lost-primary',
      pairId: 'pair',
      epoch: 2,
      closing: true,
      inFlight: { decisionId: 'd', effects },
    });
    const failed = { type: 'effect-failed', decisionId: 'd', code: 'stalled', message: '', atMs: 0 } as const;
    const open = decide(closing, { ...failed, effect: 'stop-database' }).server;
    expect(decide(open, { type: 'consent-requested', epoch: 3, nonce: 'n', ...FRESH, atMs: 10 }).rule).toBeNull();
    const { server: retried, decisionId, rule } = decide(open, { type: 'tick', unixMs: 0, atMs: 6000 });
    expect(rule?.id).toBe('S-7');
    const results = { finalLsn: '0/1' };
    const closed = decide(retried, { type: 'effects-completed', decisionId: decisionId ?? '', results, atMs: 7000 });
    expect(
      decide(closed.server, { type: 'consent-requested', epoch: 3, nonce: 'n', ...FRESH, atMs: 8000 }).rule?.id,
    ).toBe('S-9');
  });

  it('does not blame its database for the time in which the manager stood still', () => {
    const serving = {
      ...server('primary', { state: 'primary-active', pairId: 'pair', hold: 1, epoch: 1, opened: true }),
      database: usable,
    };
    const seen = decide(serving, { type: 'tick', unixMs: 0, atMs: 1000 }).server;
    expect(decide(seen, { type: 'tick', unixMs: 0, atMs: 21_000 }).server.record.state).toBe('primary-active');
  });

  it('gives the role up when it finds that it has lost its database', () => {
    const effects = [{ kind: 'stop-database' as const, epoch: 1 }];
    const inFlight = { decisionId: 'd', effects };
    const booted = server('primary', {
      state: 'primary-alone',
      pairId: 'pair',
      hold: 1,
      epoch: 1,
      cause: 'boot',
      inFlight,
    });
    const empty = decide(booted, {
      type: 'effects-completed',
      decisionId: 'd',
      results: { finalLsn: null, databaseMissing: true },
      atMs: 10,
    });
    expect(empty.server.record).toMatchObject({ hold: 0, complete: false });
    const asked = decide(empty.server, {
      type: 'peer-heard',
      status: peer({ role: 'secondary', state: 'secondary-lost-primary', hold: 0, serving: false }),
      atMs: 20,
    });
    expect(asked.rule).toBeNull();
  });

  it('does not end in a passing state when the application cannot be started again', () => {
    const booted = server('secondary', {
      state: 'secondary-failover',
      pairId: 'pair',
      hold: 2,
      epoch: 2,
      complete: true,
      cause: 'boot',
    });
    const opening = decide(booted, {
      type: 'peer-heard',
      status: peer({ state: 'primary-syncing', hold: 0, serving: false }),
      atMs: 10,
    });
    expect(opening.rule?.id).toBe('S-60');
    const failed = {
      type: 'effect-failed',
      effect: 'start-processes',
      code: 'process-failed',
      message: '',
      atMs: 20,
    } as const;
    expect(decide(opening.server, { ...failed, decisionId: opening.decisionId ?? '' }).server.record.state).toBe(
      'secondary-uncertain',
    );
  });

  it('can be taken over from a standby whose database had failed', () => {
    const standby = { ...lost({ state: 'secondary-uncertain' }), link: 'lost' as const };
    expect(
      decide(standby, { type: 'operator-failover', operationId: 'o', acceptDataLoss: false, atMs: 10 }).rule?.id,
    ).toBe('S-42');
  });

  it('is not offered for a failover while the primary is looked for or owns the role', () => {
    const standby = lost({});
    expect(actionRefusal({ ...standby, link: 'unknown' }, 'operator-failover', 10)).toContain('looked for');
    const opening = { ...standby, ...up, peer: peer({ state: 'primary-alone', serving: false }) };
    expect(actionRefusal(opening, 'operator-failover', 10)).toContain('owns the role');
  });

  it('refuses a request that was under way while it served', () => {
    const closed = server('secondary', { state: 'secondary-lost-primary', pairId: 'pair', epoch: 8, lineage: 8 });
    const request = { type: 'consent-requested', epoch: 11, nonce: 'n', knownFinalLsn: null, atMs: 10 } as const;
    expect(decide(closed, { ...request, knownLineage: 5 }).refusal).toBe(
      'it has owned the role under epoch 8 since it was asked',
    );
    expect(decide(closed, { ...request, knownLineage: 8 }).rule?.id).toBe('S-9');
    const record = { state: 'primary-failover', pairId: 'pair', hold: 1, epoch: 1, finalLsn: '0/9' } as const;
    const stoppedAgain = server('primary', { ...record, cause: 'hand-over' });
    const handOver = { ...request, epoch: 2, knownLineage: 1 };
    expect(decide(stoppedAgain, { ...handOver, knownFinalLsn: '0/5' }).refusal).toBe(
      'it has served again since it was asked',
    );
    expect(decide(stoppedAgain, { ...handOver, knownFinalLsn: '0/9' }).refusal).toBeNull();
  });

  it('keeps the lineage of what it owned when it gives its consent', () => {
    const stopped = server('primary', {
      state: 'primary-failover',
      pairId: 'pair',
      hold: 1,
      epoch: 1,
      finalLsn: '0/1',
      cause: 'hand-over',
    });
    expect(
      decide(stopped, { type: 'consent-requested', epoch: 2, nonce: 'n', ...FRESH, knownFinalLsn: '0/1', atMs: 10 })
        .server.record.lineage,
    ).toBe(1);
  });
});

describe('a primary that was told to act alone', () => {
  it('P-9: steps down for a secondary that owns a later epoch, before that one serves', () => {
    const alone = server('primary', { state: 'primary-alone', pairId: 'pair', epoch: 3, hold: 3, opened: true });
    const status = peer({ role: 'secondary', state: 'secondary-failover', epoch: 4, hold: 4, serving: false });
    const decision = decide(alone, { type: 'peer-heard', status, atMs: 1000 });
    expect(decision.rule?.id).toBe('P-9');
    expect(decision.server.record.hold).toBe(0);
  });
});

describe('a primary that is replaced by another machine', () => {
  const order = {
    type: 'operator-register',
    operationId: 'o',
    pairId: 'new',
    failoverType: 'manual',
    atMs: 1,
  } as const;
  const replace = { ...order, replacesPrimary: true, confirmed: true };
  const unpaired = () =>
    server('primary', { state: 'ha-not-configured', opened: true, lineage: 9, lastInSyncUnixMs: 1 });
  /** The new primary has been accepted by the secondary. */
  const accepted = () => {
    const { server: asked, decisionId } = decide(unpaired(), replace);
    return decide(asked, { type: 'effects-completed', decisionId: decisionId ?? '', results: {}, atMs: 2 });
  };

  it('asks for a confirmation, because what the new one has is replaced', () => {
    expect(decide(unpaired(), { ...replace, confirmed: false }).refusal).toContain('kept beside it');
    expect(actionRefusal(unpaired(), 'operator-register', 1)).toBeNull();
  });

  it('P-10, P-11: the new one stops what it serves and follows, with a copy that is not whole and no past of its own', () => {
    const { server: asked } = decide(unpaired(), replace);
    expect(asked.record).toMatchObject({
      state: 'ha-initializing',
      operation: { kind: 'replace-primary' },
      opened: true,
    });
    const { rule, server: after, operationEnded, effects } = accepted();
    expect(rule?.id).toBe('P-11');
    expect(after.record).toMatchObject({
      ...{ state: 'primary-preparing-for-failback', pairId: 'new', operation: null },
      ...{ hold: 0, opened: false, complete: false, lineage: 0, lastInSyncUnixMs: null },
    });
    expect(operationEnded).toMatchObject({ kind: 'replace-primary', succeeded: true });
    expect(effects?.map(({ kind }) => kind)).toEqual(['stop-processes', 'stop-database']);
  });

  it('P-4: the new one does not serve after a start either, whatever an operator orders, before its copy is whole', () => {
    const booted = decide(accepted().server, { type: 'boot', runId: 'next', sameRun: false, atMs: 3 });
    expect(booted.rule?.id).toBe('P-4');
    const lostPeer = { ...booted.server, link: 'confirmed-lost' as const };
    const alone = decide(lostPeer, { type: 'peer-confirmed-lost', atMs: 4 }).server;
    expect(alone.record.state).toBe('primary-alone');
    const idle = { ...alone, record: { ...alone.record, inFlight: null } };
    expect(actionRefusal(idle, 'operator-activate-alone', 5)).toContain('not whole');
    expect(actionRefusal(idle, 'operator-remove', 5)).toContain('not whole');
  });

  it.each([
    ['P-2', { type: 'boot', runId: 'next', sameRun: false }],
    ['P-14', { type: 'effect-failed', effect: 'register-with-peer', code: 'timeout', message: 'm' }],
    ['P-15', { type: 'operator-cancel' }],
  ])(
    '%s: a replacement that was given up dissolves nothing: the secondary may have adopted the pair, and serves',
    (id, event) => {
      const { server: asked, decisionId } = decide(unpaired(), replace);
      const { rule, server: after } = decide(asked, { ...event, decisionId, atMs: 3 } as unknown as HaEvent);
      expect(rule?.id).toBe(id);
      expect(after.record).toMatchObject({ state: 'ha-not-configured', pairId: null, dissolved: [] });
    },
  );

  const ACTIVE = {
    state: 'secondary-active',
    pairId: 'pair',
    ...{ epoch: 4, hold: 4, lineage: 4, opened: true, complete: true },
    promised: { epoch: 3, nonce: 'n', untilMs: 0 },
    peerPosition: { lineage: 1, lsn: '0/9' },
  } as const satisfies Partial<ServerRecord>;
  const begun = {
    type: 'replacement-begun',
    pairId: 'new',
    failoverType: 'automatic',
    isPinnedPrimary: false,
    atMs: 1,
  } as const;
  const active = (record: Partial<ServerRecord> = {}, link: Server['link'] = 'confirmed-lost') => ({
    ...server('secondary', { ...ACTIVE, ...record }),
    link,
    peer: peer({ state: 'primary-syncing' }),
  });

  it('S-69: the secondary adopts the new pair under its present role and forgets the lost primary, without any effect', () => {
    const { rule, effects, server: after } = decide(active(), begun);
    expect(rule?.id).toBe('S-69');
    expect(effects).toBeNull();
    expect(after.record).toMatchObject({
      ...{ state: 'secondary-active', pairId: 'new', failoverType: 'automatic' },
      ...{ epoch: 4, hold: 4, lineage: 4, opened: true, complete: true, promised: null, peerPosition: null },
      ...{ dissolved: ['pair'], replaced: ['pair'] },
    });
    expect(after).toMatchObject({ link: 'unknown', peer: null, peerPosition: null });
  });

  it.each<[string, Partial<ServerRecord>, Server['link']]>([
    ['the state', { state: 'secondary-lost-primary', hold: 0, opened: false }, 'confirmed-lost'],
    ['not paired', { state: 'ha-not-configured', pairId: null, hold: 0, opened: false }, 'unknown'],
    ['a primary that is heard', {}, 'up'],
    ['a primary whose URL may answer', {}, 'lost'],
    ['a primary that is looked for', {}, 'unknown'],
    ['an operation', { operation: { id: 'o', kind: 'failback' } }, 'confirmed-lost'],
    ['a change under way', { inFlight: { decisionId: 'd', effects: [] } }, 'confirmed-lost'],
    [
      'maintenance',
      { maintenance: { reason: 'r', minutes: 1, untilMs: 9, runId: 'run', untilUnixMs: 9 } },
      'confirmed-lost',
    ],
  ])('the secondary refuses because of %s', (_, record, link) => {
    const decision = decide(active(record, link), begun);
    expect(decision.rule).toBeNull();
    expect(decision.refusal).toBe(replacementRefusal(active(record, link), false));
    expect(decision.refusal).toMatch(
      /Secondary Active|not paired|reachable and Primary Syncing|URL|looked for|failback|change|maintenance/,
    );
  });

  it('S-69: the pinned primary itself may ask while it is still believed to be heard: it has given an earlier replacement up', () => {
    expect(decide(active({}, 'up'), { ...begun, isPinnedPrimary: true }).rule?.id).toBe('S-69');
  });

  it('is served on by a secondary that is told by the new primary’s URL that nothing is dissolved', () => {
    const { server: adopted } = decide(active(), begun);
    expect(decide(adopted, { type: 'pair-dissolved', pairId: 'pair', atMs: 2 }).rule).toBeNull();
  });

  it.each<Partial<ServerRecord>>([
    { state: 'primary-lost-secondary', hold: 1, opened: true },
    { state: 'primary-alone', hold: 1, opened: false },
    { state: 'primary-syncing', hold: 0, opened: false },
  ])(
    'P-126: the replaced machine closes what it serves when it hears of it, and never serves again ($state)',
    (record) => {
      const old = server('primary', { ...record, pairId: 'pair', epoch: 3, lineage: 1 });
      const {
        rule,
        effects,
        server: after,
      } = decide(old, { type: 'pair-dissolved', pairId: 'pair', replaced: true, atMs: 1 });
      expect(rule?.id).toBe('P-126');
      expect(effects?.map(({ kind }) => kind)).toEqual(['stop-processes', 'stop-database']);
      expect(after.record).toMatchObject({ state: 'primary-alone', hold: 0, opened: false, replaced: ['pair'] });
      const idle = { ...after, link: 'confirmed-lost' as const, record: { ...after.record, inFlight: null } };
      expect(actionRefusal(idle, 'operator-activate-alone', 2)).toContain('another server has taken the place');
      expect(actionRefusal(idle, 'operator-remove', 2)).toContain('another server has taken the place');
      const again = { type: 'pair-dissolved', pairId: 'pair', replaced: true, atMs: 3 } as const;
      expect(decide(idle, again).rule).toBeNull();
      const { server: booted } = decide(idle, { type: 'boot', runId: 'next', sameRun: false, atMs: 4 });
      expect(booted.record.replaced).toEqual(['pair']);
    },
  );
});

describe('an operation that needs the witness', () => {
  it('S-33: ends when the witness cannot be asked, so that the next order is not refused because of it', () => {
    const operation = { id: 'o', kind: 'failover' } as const;
    const inFlight = { decisionId: 'd', effects: [{ kind: 'acquire-lease', epoch: 2, nonce: 'n' }] } as const;
    const failed = {
      type: 'effect-failed',
      decisionId: 'd',
      effect: 'acquire-lease',
      code: 'c',
      message: 'm',
    } as const;
    const { rule, operationEnded } = decide(lost({ operation, inFlight }), { ...failed, atMs: 1 });
    expect(rule?.id).toBe('S-33');
    expect(operationEnded?.succeeded).toBe(false);
  });

  it.each<[string, { role: ServerRole; epoch: number } | null, boolean]>([
    ['its own', { role: 'secondary', epoch: 2 }, true],
    ['that of the owner before it', { role: 'primary', epoch: 1 }, true],
    ['nobody’s, in a new pair', null, true],
    ['that of a later owner', { role: 'primary', epoch: 3 }, false],
  ])('S-150: an owner that starts again asks for the lease when it is %s', (_, holder, asks) => {
    const base = server('secondary', {
      ...{ state: 'secondary-failover', cause: 'boot', pairId: 'pair', complete: true, epoch: 2, hold: 2, lineage: 2 },
    });
    const booting: Server = {
      ...base,
      settings: { ...SETTINGS, witness: { kind: 'nats', leaseMs: 4000, fenceMs: 1000 } },
      link: 'confirmed-lost',
      witness: { reachable: true, leaseUntilMs: null, holder, takeableAtMs: 5000 },
    };
    expect(decide(booting, { type: 'tick', unixMs: 0, atMs: 30_000 }).rule?.id === 'S-150').toBe(asks);
  });
});

describe('a server that closes itself', () => {
  it('P-183: in the middle of a failback, and the primary does not wait for its consent any more', () => {
    const operation = { id: 'o', kind: 'failback' } as const;
    const waiting = {
      ...server('primary', { state: 'primary-failback', pairId: 'pair', epoch: 2, lineage: 2, operation }),
      ...({ link: 'up', peerHeardAtMs: 9000 } as const),
      peer: peer({ role: 'secondary', state: 'secondary-lost-primary', hold: 0, lineage: 2, serving: true }),
    };
    const status = { ...waiting.peer, serving: false };
    expect(decide(waiting, { type: 'tick', unixMs: 0, atMs: 10_000 }).rule).toBeNull();
    const decision = decide(waiting, { type: 'peer-heard', status, atMs: 10_000 });
    expect(decision.rule?.id).toBe('P-183');
    expect(decision.server.record).toMatchObject({ state: 'primary-alone', operation: null });
  });

  it('tells its peer that it may still be written to, until it is closed and where it ends is seen', () => {
    const witness = { kind: 'nats', leaseMs: 10_000, fenceMs: 2000 } as const;
    const active = {
      ...server('secondary', { state: 'secondary-active', pairId: 'pair', epoch: 2, hold: 2, opened: true }),
      settings: { ...SETTINGS, witness },
    };
    const seen = { ...active, database: RUNNING };
    const fenced = decide(seen, { type: 'tick', unixMs: 0, atMs: 60_000 });
    expect(fenced.rule?.id).toBe('S-146');
    expect(toldOfRecord(fenced.server.record)).toMatchObject({ hold: 0, serving: true });
    const decisionId = fenced.decisionId ?? '';
    const closed = decide(fenced.server, { type: 'effects-completed', decisionId, results: {}, atMs: 60_100 });
    expect(toldOfRecord(closed.server.record).serving).toBe(false);
    expect(closed.server.database?.lsn).toBeNull();
  });
});

describe('the first owner of a pair', () => {
  it('P-12: has the data of its own epoch, so that a standby that lacks some of them never counts as newer', () => {
    const before = server('primary', { state: 'ha-initializing', pairId: 'pair', opened: true });
    const database = {
      running: true,
      usable: true,
      streaming: true,
      lsn: '0/1',
      lagBytes: 0,
      restartsExhausted: false,
      commitsConfirmedSince: null,
    };
    const status = peer({ role: 'secondary', state: 'ha-initializing', hold: 0, serving: false });
    const { server: after } = decide({ ...before, database }, { type: 'peer-heard', status, atMs: 1000 });
    expect(after.record).toMatchObject({ state: 'primary-active', hold: after.record.lineage });
    expect(after.record.hold).toBeGreaterThan(0);
  });
});

function server(role: ServerRole, record: Partial<ServerRecord>): Server {
  return atStart({ ...newRecord(role, 'run'), ...record }, SETTINGS, 0);
}

/** A secondary that has lost a primary it was in sync with. */
function lost(record: Partial<ServerRecord>): Server {
  const base = server('secondary', {
    state: 'secondary-lost-primary',
    pairId: 'pair',
    failoverType: 'automatic',
    complete: true,
    armed: true,
    epoch: 1,
    lineage: 1,
    ...record,
  });
  return {
    ...base,
    peer: peer({}),
    database: {
      running: true,
      usable: true,
      streaming: false,
      lsn: '0/2000000',
      lagBytes: 0,
      restartsExhausted: false,
      commitsConfirmedSince: null,
    },
  };
}

function peer(view: Partial<PeerView>): PeerView {
  return {
    pairId: 'pair',
    role: 'primary',
    state: 'primary-active',
    runId: 'p',
    epoch: 1,
    hold: 1,
    lineage: 1,
    serving: true,
    complete: true,
    doubted: false,
    finalLsn: null,
    lsn: '0/2000000',
    lagBytes: 0,
    streaming: true,
    databaseUsable: true,
    processesOk: true,
    stopping: false,
    grants: true,
    operation: null,
    failoverType: 'automatic',
    protection: { epoch: 1, change: 0, inForce: false },
    ...view,
  };
}

function anyEvent(type: HaEvent['type']): HaEvent {
  return {
    type,
    atMs: 1000,
    unixMs: 1,
    runId: 'r',
    sameRun: false,
    status: peer({}),
    database: {
      running: true,
      usable: true,
      streaming: true,
      lsn: '0/0',
      lagBytes: 0,
      restartsExhausted: false,
      commitsConfirmedSince: null,
    },
    process: 'p',
    operationId: 'o',
    pairId: 'pair',
    failoverType: 'manual',
    acceptDataLoss: true,
    epoch: 9,
    nonce: 'n',
    granted: true,
    witness: { reachable: true, leaseUntilMs: null, holder: null, takeableAtMs: null },
    decisionId: 'd',
    results: {},
    effect: 'stop-database',
    code: 'c',
    message: 'm',
  } as unknown as HaEvent;
}
