import { describe, expect, it } from '@jest/globals';
import type { FailoverType } from '@understudy/ha-core';
import { PLAIN_VARIANT, SimulatedPair } from './simulated-pair.ts';

/** A pair in sync, its histories begun anew. */
async function pairInSync(failoverType: FailoverType, seed = 1): Promise<SimulatedPair> {
  const pair = new SimulatedPair(seed);
  await pair.register(failoverType);
  await pair.run(5);
  for (const server of pair.servers) server.history.length = 0;
  return pair;
}

describe('a simulated pair', () => {
  it('registers', async () => {
    const pair = new SimulatedPair(1);
    await pair.register('manual');
    expect(pair.primary.history).toEqual(['ha-initializing', 'primary-active']);
    expect(pair.secondary.history).toEqual(['ha-initializing', 'secondary-syncing']);
  });

  it('REG-FAIL: goes back to not configured when the secondary dies during the registration', async () => {
    const pair = new SimulatedPair(1);
    await pair.run(3);
    await pair.primary.feed({ type: 'operator-register', operationId: 'r', pairId: 'pair', failoverType: 'manual' });
    pair.secondary.crash();
    await pair.until(() => pair.states === 'ha-not-configured / down', 30);
    pair.secondary.boot();
    await pair.until(() => pair.states === 'ha-not-configured / ha-not-configured', 30);
  });

  it('PRS-1: the primary restarts and serves again with consent', async () => {
    const pair = await pairInSync('manual');
    pair.primary.crash();
    await pair.run(1);
    pair.primary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.primary.history).toEqual(['primary-alone', 'primary-active']);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-syncing']);
  });

  it('SRS-1: the secondary restarts', async () => {
    const pair = await pairInSync('automatic');
    pair.secondary.crash();
    await pair.until(() => pair.primary.record.state === 'primary-lost-secondary', 30);
    pair.secondary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-syncing']);
  });

  it.each(['primary', 'secondary'] as const)('BD-1, BPD-1: both down, the %s first', async (first) => {
    const pair = await pairInSync('automatic');
    for (const server of pair.servers) server.crash();
    await pair.run(5);
    pair[first].boot();
    await pair.run(40);
    pair[first === 'primary' ? 'secondary' : 'primary'].boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
    expect(pair.notOnBoth).toBe(0);
  });

  it('a secondary that dies in the middle of a forced failover leaves the primary serving', async () => {
    const pair = await pairInSync('manual');
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.primary.record.state === 'primary-failover', 5);
    pair.secondary.crash();
    await pair.until(() => pair.primary.serving, 30);
    pair.secondary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
  });

  it('SAD-1: the active secondary restarts and serves again', async () => {
    const pair = await pairInSync('manual');
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.crash();
    await pair.run(10);
    expect(pair.states).toBe('primary-alone / down');
    pair.secondary.boot();
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
  });

  it('TKO-1: the operator activates the primary when the active secondary is gone; it yields to nobody older later', async () => {
    const pair = await pairInSync('manual');
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.crash();
    await pair.run(20);
    expect(
      (await pair.primary.feed({ type: 'operator-activate-alone', operationId: 'aa', acceptDataLoss: false })).refusal,
    ).toBeNull();
    await pair.until(() => pair.primary.serving, 30);
    pair.secondary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
  });
});

describe('a simulated pair whose operator ends or suspends the protection', () => {
  const remove = (server: SimulatedPair['primary'], confirmed = false) =>
    server.feed({ type: 'operator-remove', operationId: 'rm', confirmed, acceptDataLoss: false });

  it('RM-CLI, DBS-1: dissolves the pair on both servers, the primary serves on, and both register anew', async () => {
    const pair = await pairInSync('automatic');
    expect((await remove(pair.secondary)).refusal).toContain('only possible on the primary');
    expect((await remove(pair.primary)).refusal).toBeNull();
    expect(pair.primary.serving).toBe(true);
    await pair.until(() => pair.isUnpaired && pair.primary.record.operation === null, 30);
    expect(pair.primary.serving).toBe(true);
    expect(pair.primary.history).toEqual(['ha-not-configured']);
    expect(pair.secondary.history).toEqual(['ha-not-configured']);
    await pair.run(5);
    expect(pair.secondary.serving).toBe(false);
    await pair.register('manual');
    await pair.until(() => pair.isProtected, 30);
  });

  it('is refused while the secondary is active', async () => {
    const pair = await pairInSync('manual');
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    expect((await remove(pair.primary)).refusal).toContain('fail back first');
    expect((await remove(pair.secondary)).refusal).toContain('only possible on the primary');
  });

  it('a secondary that was away when the pair was dissolved is told when it asks, and never serves', async () => {
    const pair = await pairInSync('automatic');
    pair.secondary.crash();
    await pair.until(() => pair.primary.record.state === 'primary-lost-secondary', 30);
    const unconfirmed = (await remove(pair.primary)).refusal;
    expect(unconfirmed).toMatch(/take over by itself.*Stop it first, or remove HA there.*confirm with its name/);
    expect((await remove(pair.primary, true)).refusal).toBeNull();
    await pair.run(10);
    pair.secondary.boot();
    await pair.until(() => pair.isUnpaired, 60);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'ha-not-configured']);
    expect(pair.secondary.serving).toBe(false);
    expect(pair.primary.serving).toBe(true);
  });

  it('BDX-1: both were down and the secondary does not return: removal on the operator’s word lets the primary serve alone', async () => {
    const pair = await pairInSync('automatic');
    for (const server of pair.servers) server.crash();
    pair.primary.boot();
    await pair.until(() => pair.primary.view?.link === 'confirmed-lost', 30);
    expect(pair.states).toBe('primary-alone / down');
    expect((await remove(pair.primary)).refusal).toContain('confirm with its name');
    expect((await remove(pair.primary, true)).refusal).toBeNull();
    await pair.until(() => pair.primary.serving && pair.primary.record.operation === null, 30);
    expect(pair.states).toBe('ha-not-configured / down');
  });

  it('maintenance disarms automatic failover on the server that heard of it, until its time is over', async () => {
    const pair = await pairInSync('automatic');
    await pair.secondary.feed({
      type: 'operator-maintenance',
      minutes: 2,
      reason: 'new disks',
      unixMs: pair.seconds * 1000,
    });
    pair.primary.crash();
    await pair.run(60);
    expect(pair.states).toBe('down / secondary-lost-primary');
    await pair.until(() => pair.secondary.serving, 90);
  });

  it('observe says once what it would have done, and does nothing', async () => {
    const pair = await pairInSync('observe');
    pair.primary.crash();
    await pair.run(120);
    expect(pair.states).toBe('down / secondary-lost-primary');
    expect(pair.secondary.rules.filter((id) => id === 'S-38')).toHaveLength(1);
    pair.primary.boot();
    await pair.until(() => pair.isProtected, 60);
  });

  it('TKO-1: the operation of activate-alone ends when the primary serves, however long it waited before', async () => {
    const pair = await pairInSync('manual');
    for (const server of pair.servers) server.crash();
    pair.primary.boot();
    await pair.run(60);
    await pair.primary.feed({ type: 'operator-activate-alone', operationId: 'aa', acceptDataLoss: true });
    await pair.until(() => pair.primary.serving && pair.primary.record.operation === null, 60);
  });

  it('TKO-1: asks for the operator’s word that data may be lost when the secondary may have served by the consent of the primary', async () => {
    const pair = await pairInSync('manual');
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.secondary.serving, 60);
    pair.cut();
    await pair.run(10);
    pair.secondary.crash();
    await pair.run(20);
    expect(pair.missingOn(pair.primary)).toBeGreaterThan(0);
    const activate = (acceptDataLoss: boolean) =>
      pair.primary.feed({ type: 'operator-activate-alone', operationId: 'aa', acceptDataLoss });
    expect((await activate(false)).refusal).toContain('has consented');
    expect((await activate(true)).refusal).toBeNull();
  });

  it('SUN-2: a failed active secondary gives the role back without loss while it streams, and with accepted loss when it does not', async () => {
    const pair = await pairInSync('manual');
    const failback = (force: boolean, acceptDataLoss: boolean) =>
      pair.secondary.feed({ type: 'operator-failback', operationId: 'fb', force, acceptDataLoss });
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    await pair.run(2);
    await pair.secondary.feed({ type: 'process-failed', process: 'NMS Server' });
    expect(pair.secondary.record.state).toBe('secondary-uncertain');
    expect((await failback(false, false)).refusal).toBeNull();
    await pair.until(() => pair.isProtected && pair.primary.serving, 60);
    expect(pair.notOnBoth).toBe(0);

    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff2' });
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.database.isUnstartable = true;
    pair.secondary.database.die();
    await pair.until(() => pair.secondary.record.state === 'secondary-uncertain', 60);
    expect((await failback(false, false)).refusal).not.toBeNull();
    expect((await failback(true, false)).refusal).toContain('acceptDataLoss');
    expect((await failback(true, true)).refusal).toBeNull();
    pair.secondary.database.isUnstartable = false;
    await pair.until(() => pair.isProtected && pair.primary.serving, 90);
  });
});

describe('the removal of HA by the active server, of which its peer cannot be told', () => {
  const removeDuringCut = async (reachesWitness: boolean) => {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness: 'nats' });
    await pair.register('automatic');
    await pair.run(5);
    pair.cut();
    await pair.until(() => pair.states === 'primary-lost-secondary / secondary-lost-primary', 60);
    if (!reachesWitness) pair.witnessReach.delete(pair.primary);
    const order = { type: 'operator-remove', operationId: 'rm', confirmed: true, acceptDataLoss: false } as const;
    expect((await pair.primary.feed(order)).refusal).toBeNull();
    return pair;
  };

  it('is told to it by the witness: it does not take over, and belongs to no pair any more', async () => {
    const pair = await removeDuringCut(true);
    await pair.until(() => pair.states === 'ha-not-configured / ha-not-configured', 60);
    expect(pair.secondary.history).not.toContain('secondary-failover');
    expect(pair.primary.serving).toBe(true);
  });

  it('is told to the witness as soon as that can be reached again, also by the next manager', async () => {
    const pair = await removeDuringCut(false);
    await pair.run(1);
    pair.primary.restartManager();
    pair.witnessReach.add(pair.primary);
    await pair.until(() => pair.states === 'ha-not-configured / ha-not-configured', 60);
    expect(pair.secondary.history).not.toContain('secondary-failover');
  });
});

describe('a simulated pair with a witness whose secondary is lost right after the primary has consented to its takeover', () => {
  it.each(['async', 'sync'] as const)('does not serve without what was written there (%s)', async (replication) => {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness: 'nats', replication });
    await pair.register('manual');
    await pair.run(20);
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.secondary.serving, 60);
    pair.cut();
    pair.witnessReach.delete(pair.secondary);
    await pair.run(90);
    expect(pair.missingOn(pair.primary)).toBeGreaterThan(0);
    expect(pair.states).toBe('primary-alone / secondary-lost-primary');
    const { refusal } = await pair.primary.feed({
      type: 'operator-activate-alone',
      operationId: 'aa',
      acceptDataLoss: true,
    });
    expect(refusal).toBeNull();
    await pair.until(() => pair.primary.serving, 30);
  });

  it('settles without loss when it comes back', async () => {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness: 'nats' });
    await pair.register('manual');
    await pair.run(20);
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.secondary.serving, 60);
    pair.secondary.crash();
    for (let start = 0; start < 2; start++) {
      await pair.run(60);
      expect(pair.primary.serving).toBe(false);
      pair.primary.crash();
      pair.primary.boot();
    }
    pair.secondary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.servers.map((server) => pair.missingOn(server))).toEqual([0, 0]);
  });
});

describe('a simulated pair whose primary fails', () => {
  it.each(['nats', 'gateway'] as const)('hands over although nobody reaches the witness (%s)', async (witness) => {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness });
    await pair.register('automatic');
    pair.witnessReach.clear();
    await pair.run(20);
    expect(pair.primary.serving).toBe(true);
    pair.primary.broken = true;
    pair.primary.processesRunning = false;
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    expect(pair.notOnBoth).toBe(0);
  });
});

describe('a simulated pair in which an older copy is put in the place of the database of the active server', () => {
  /** So much is written, and on both servers, that a backup from before is no beginning of the last record. */
  async function writeMuch(pair: SimulatedPair, { database }: SimulatedPair['primary']): Promise<void> {
    const { wal } = database;
    if (wal !== null) database.wal = { ...wal, endsAt: wal.endsAt + 2 ** 21 };
    await pair.run(5);
    expect(pair.notOnBoth).toBe(0);
  }

  it.each(['manual', 'automatic'] as const)('the secondary serves what the primary has not (%s)', async (type) => {
    const pair = await pairInSync(type);
    const backup = pair.primary.database.backUp();
    await writeMuch(pair, pair.primary);
    pair.primary.crash();
    pair.primary.database.restore(backup);
    pair.primary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.secondary.serving).toBe(true);
    expect(pair.primary.rules).toContain('P-97');
    expect(pair.notOnBoth).toBe(0);
  });

  it('the primary serves what the active secondary has not', async () => {
    const pair = await pairInSync('manual');
    await pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    await pair.run(5);
    const backup = pair.secondary.database.backUp();
    await writeMuch(pair, pair.secondary);
    pair.secondary.crash();
    pair.secondary.database.restore(backup);
    pair.secondary.boot();
    await pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
    expect(pair.secondary.rules).toContain('S-64');
    expect(pair.notOnBoth).toBe(0);
  });
});

/** Found by the random runs. */
describe('what the random runs found', () => {
  it('an active secondary whose PostgreSQL had died before it was closed is no failed standby', async () => {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness: 'nats' });
    await pair.register('automatic');
    await pair.run(5);
    pair.primary.crash();
    await pair.until(() => pair.secondary.serving, 60);
    await pair.run(5);
    pair.secondary.database.isUnstartable = true;
    pair.secondary.database.die();
    await pair.run(4);
    pair.witnessReach.delete(pair.secondary);
    await pair.run(20);
    pair.secondary.database.isUnstartable = false;
    pair.witnessReach.add(pair.secondary);
    pair.primary.boot();
    await pair.until(() => pair.isProtected, 300);
  });

  it('what has died with its manager is started again on a server that is not paired and has a witness', async () => {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness: 'nats' });
    await pair.until(() => pair.primary.serving, 10);
    pair.primary.restartManager();
    pair.primary.processesRunning = false;
    await pair.run(30);
    expect(pair.primary.processesRunning).toBe(true);
  });

  it('what has died with its manager is started again when PostgreSQL runs again', async () => {
    const pair = await pairInSync('manual');
    pair.primary.database.isUnstartable = true;
    pair.primary.database.die();
    pair.primary.restartManager();
    pair.primary.processesRunning = false;
    await pair.run(5);
    pair.primary.database.isUnstartable = false;
    await pair.run(60);
    expect(pair.primary.serving).toBe(true);
    expect(pair.primary.processesRunning).toBe(true);
  });

  it('what has died with its manager is started again after the step that was under way', async () => {
    const pair = new SimulatedPair(1);
    await pair.run(3);
    pair.secondary.freeze();
    pair.orderRegistration('manual');
    await pair.run(1);
    pair.primary.restartManager();
    pair.primary.processesRunning = false;
    await pair.run(60);
    expect(pair.primary.record.opened).toBe(true);
    expect(pair.primary.processesRunning).toBe(true);
  });
});

describe('a simulated pair whose primary is lost with its machine', () => {
  /** The secondary serves, and a new machine is in the place of the primary. */
  async function pairWithNewMachine(failoverType: FailoverType, witness: 'none' | 'nats'): Promise<SimulatedPair> {
    const pair = new SimulatedPair(1, { ...PLAIN_VARIANT, witness });
    await pair.register(failoverType);
    await pair.run(5);
    pair.loseMachineOfPrimary();
    if (failoverType === 'manual') {
      await pair.until(() => pair.secondary.view?.link === 'confirmed-lost', 30);
      await pair.secondary.feed({ type: 'operator-failover', operationId: 'fo', acceptDataLoss: true });
    }
    await pair.until(() => pair.secondary.record.state === 'secondary-active', 60);
    await pair.run(10);
    for (const server of pair.servers) server.history.length = 0;
    return pair;
  }

  it.each([
    ['manual', 'none'],
    ['automatic', 'none'],
    ['automatic', 'nats'],
  ] as const)(
    'RP-1: the new primary follows the active secondary, which serves on, and gets the role back (%s, witness %s)',
    async (failoverType, witness) => {
      const pair = await pairWithNewMachine(failoverType, witness);
      pair.orderReplacement(failoverType);
      await pair.until(() => {
        expect(pair.secondary.serving).toBe(true);
        return pair.isProtected;
      }, 60);
      expect(pair.primary.history).toEqual(['ha-initializing', 'primary-preparing-for-failback', 'primary-syncing']);
      expect(pair.secondary.history).toEqual([]);
      await pair.run(5);
      await pair.secondary.feed({ type: 'operator-failback', operationId: 'fb', force: false, acceptDataLoss: false });
      await pair.until(() => pair.isProtected && pair.primary.serving, 60);
    },
  );

  it('is repeated when the new primary was lost after the secondary had accepted it', async () => {
    const pair = await pairWithNewMachine('automatic', 'none');
    pair.orderReplacement('automatic');
    await pair.until(() => pair.secondary.record.pairId === 'pair-2', 30);
    pair.primary.crash();
    pair.primary.boot();
    await pair.run(30);
    expect(pair.secondary.serving).toBe(true);
    if (pair.primary.record.state === 'ha-not-configured') pair.orderReplacement('automatic');
    await pair.until(() => pair.isProtected && pair.secondary.serving, 60);
  });
});
