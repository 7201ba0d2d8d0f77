import { describe, expect, it } from '@jest/globals';
import { type FailoverType, replacementRefusal } from '@understudy/ha-core';
import { SimulatedPair } from './simulated-pair.ts';

/** A pair in sync, its histories begun anew. */
function pairInSync(failoverType: FailoverType, seed = 1): SimulatedPair {
  const pair = new SimulatedPair(seed);
  pair.register(failoverType);
  pair.run(5);
  for (const server of pair.servers) server.history.length = 0;
  return pair;
}

const lost = (pair: SimulatedPair) =>
  pair.acknowledged.filter((write) => !pair.servers.every(({ database }) => database.log.includes(write)));

describe('a simulated pair', () => {
  it('registers', () => {
    const pair = new SimulatedPair(1);
    pair.register('manual');
    expect(pair.primary.history).toEqual(['ha-initializing', 'primary-active']);
    expect(pair.secondary.history).toEqual(['ha-initializing', 'secondary-syncing']);
  });

  it('REG-FAIL: goes back to not configured when the secondary dies during the registration', () => {
    const pair = new SimulatedPair(1);
    pair.run(3);
    pair.primary.feed({ type: 'operator-register', operationId: 'r', pairId: 'pair', failoverType: 'manual' });
    pair.secondary.crash();
    pair.until(() => pair.states === 'ha-not-configured / down', 30);
    pair.secondary.boot(false);
    pair.until(() => pair.states === 'ha-not-configured / ha-not-configured', 30);
  });

  it('FF-1, FB-1: hands over and back without losing a write', () => {
    const pair = pairInSync('manual');
    expect(pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' }).refusal).toBeNull();
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    expect(pair.primary.history).toEqual(['primary-failover', 'primary-preparing-for-failback', 'primary-syncing']);
    expect(pair.secondary.history).toEqual(['secondary-failover', 'secondary-active']);
    pair.run(5);
    expect(
      pair.secondary.feed({ type: 'operator-failback', operationId: 'fb', force: false, acceptDataLoss: false })
        .refusal,
    ).toBeNull();
    pair.until(() => pair.isProtected && pair.primary.serving, 60);
    expect(pair.primary.history.slice(3)).toEqual(['primary-failback', 'primary-active']);
    expect(pair.secondary.history.slice(2)).toEqual([
      'secondary-failback',
      'secondary-post-failback',
      'secondary-syncing',
    ]);
    pair.run(2);
    expect(lost(pair)).toEqual([]);
  });

  it('NDA-1, NDA-2: an automatic failover at a cut; the primary yields when the link is back and its writes are set aside', () => {
    const pair = pairInSync('automatic');
    pair.cut();
    pair.until(() => pair.states === 'primary-lost-secondary / secondary-active', 30);
    pair.run(3);
    pair.heal();
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.history).toEqual(['primary-lost-secondary', 'primary-failover', 'primary-syncing']);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-failover', 'secondary-active']);
    expect(pair.primary.setAside.length).toBeGreaterThan(0);
    expect(lost(pair).sort()).toEqual([...pair.primary.setAside].sort());
  });

  it('NDM-1, NDM-2: a cut with manual failover changes nothing for good', () => {
    const pair = pairInSync('manual');
    pair.cut();
    pair.until(() => pair.states === 'primary-lost-secondary / secondary-lost-primary', 30);
    pair.run(60);
    pair.heal();
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.history).toEqual(['primary-lost-secondary', 'primary-active']);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-syncing']);
  });

  it('NDM-3, NDM-4: the operator fails over while the link is down', () => {
    const pair = pairInSync('manual');
    pair.cut();
    pair.until(() => pair.states === 'primary-lost-secondary / secondary-lost-primary', 30);
    expect(
      pair.secondary.feed({ type: 'operator-failover', operationId: 'fo', acceptDataLoss: false }).refusal,
    ).toBeNull();
    pair.until(() => pair.secondary.serving, 30);
    pair.heal();
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.history).toEqual(['primary-lost-secondary', 'primary-failover', 'primary-syncing']);
  });

  it('FO-AUTO, RET-1: takes over from a dead host, which comes back as standby', () => {
    const pair = pairInSync('automatic');
    pair.primary.crash();
    pair.until(() => pair.states === 'down / secondary-active', 30);
    pair.primary.boot(false);
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.history).toEqual(
      ['primary-preparing-for-failback', 'primary-syncing'].length === 2 ? pair.primary.history : [],
    );
    expect(pair.primary.history.at(-1)).toBe('primary-syncing');
  });

  it.each(['manual', 'automatic'] as const)('PRA, PRM: a failed critical process (%s)', (type) => {
    const pair = pairInSync(type);
    pair.primary.feed({ type: 'process-failed', process: 'NMS Server' });
    if (type === 'manual') {
      pair.run(20);
      expect(pair.states).toBe('primary-uncertain / secondary-lost-primary');
      expect(
        pair.secondary.feed({ type: 'operator-failover', operationId: 'fo', acceptDataLoss: false }).refusal,
      ).toBeNull();
    }
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    expect(pair.primary.history).toEqual([
      'primary-uncertain',
      'primary-failover',
      'primary-preparing-for-failback',
      'primary-syncing',
    ]);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-failover', 'secondary-active']);
    expect(lost(pair)).toEqual([]);
  });

  it('PRS-1: the primary restarts and serves again with consent', () => {
    const pair = pairInSync('manual');
    pair.primary.crash();
    pair.run(1);
    pair.primary.boot(false);
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.history).toEqual(['primary-alone', 'primary-active']);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-syncing']);
  });

  it('SRS-1: the secondary restarts', () => {
    const pair = pairInSync('automatic');
    pair.secondary.crash();
    pair.until(() => pair.primary.record.state === 'primary-lost-secondary', 30);
    pair.secondary.boot(false);
    pair.until(() => pair.isProtected, 60);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'secondary-syncing']);
  });

  it.each(['primary', 'secondary'] as const)('BD-1, BPD-1: both down, the %s first', (first) => {
    const pair = pairInSync('automatic');
    for (const server of pair.servers) server.crash();
    pair.run(5);
    pair[first].boot(false);
    pair.run(40);
    pair[first === 'primary' ? 'secondary' : 'primary'].boot(false);
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
    expect(lost(pair)).toEqual([]);
  });

  it('a secondary that dies in the middle of a forced failover leaves the primary serving', () => {
    const pair = pairInSync('manual');
    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    pair.until(() => pair.primary.record.state === 'primary-failover', 5);
    pair.secondary.crash();
    pair.until(() => pair.primary.serving, 30);
    pair.secondary.boot(false);
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
  });

  it('SAD-1: the active secondary restarts and serves again', () => {
    const pair = pairInSync('manual');
    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.crash();
    pair.run(10);
    expect(pair.states).toBe('primary-alone / down');
    pair.secondary.boot(false);
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
  });

  it('TKO-1: the operator activates the primary when the active secondary is gone; it yields to nobody older later', () => {
    const pair = pairInSync('manual');
    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.crash();
    pair.run(20);
    expect(
      pair.primary.feed({ type: 'operator-activate-alone', operationId: 'aa', acceptDataLoss: false }).refusal,
    ).toBeNull();
    pair.until(() => pair.primary.serving, 30);
    pair.secondary.boot(false);
    pair.until(() => pair.isProtected, 60);
    expect(pair.primary.serving).toBe(true);
  });
});

describe('a simulated pair whose operator ends or suspends the protection', () => {
  const remove = (server: SimulatedPair['primary'], confirmed = false) =>
    server.feed({ type: 'operator-remove', operationId: 'rm', confirmed, acceptDataLoss: false });

  it('RM-CLI, DBS-1: dissolves the pair on both servers, the primary serves on, and both register anew', () => {
    const pair = pairInSync('automatic');
    expect(remove(pair.secondary).refusal).toContain('only possible on the primary');
    expect(remove(pair.primary).refusal).toBeNull();
    expect(pair.primary.serving).toBe(true);
    pair.until(() => pair.isUnpaired && pair.primary.record.operation === null, 30);
    expect(pair.primary.serving).toBe(true);
    expect(pair.primary.history).toEqual(['ha-not-configured']);
    expect(pair.secondary.history).toEqual(['ha-not-configured']);
    pair.run(5);
    expect(pair.secondary.serving).toBe(false);
    pair.register('manual');
    pair.until(() => pair.isProtected, 30);
  });

  it('is refused while the secondary is active', () => {
    const pair = pairInSync('manual');
    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    expect(remove(pair.primary).refusal).toContain('fail back first');
    expect(remove(pair.secondary).refusal).toContain('only possible on the primary');
  });

  it('a secondary that was away when the pair was dissolved is told when it asks, and never serves', () => {
    const pair = pairInSync('automatic');
    pair.secondary.crash();
    pair.until(() => pair.primary.record.state === 'primary-lost-secondary', 30);
    expect(remove(pair.primary).refusal).toBeNull();
    pair.run(10);
    pair.secondary.boot(false);
    pair.until(() => pair.isUnpaired, 60);
    expect(pair.secondary.history).toEqual(['secondary-lost-primary', 'ha-not-configured']);
    expect(pair.secondary.serving).toBe(false);
    expect(pair.primary.serving).toBe(true);
  });

  it('BDX-1: both were down and the secondary does not return: removal on the operator’s word lets the primary serve alone', () => {
    const pair = pairInSync('automatic');
    for (const server of pair.servers) server.crash();
    pair.primary.boot(false);
    pair.until(() => pair.primary.view.link === 'confirmed-lost', 30);
    expect(pair.states).toBe('primary-alone / down');
    expect(remove(pair.primary).refusal).toContain('confirm with its name');
    expect(remove(pair.primary, true).refusal).toBeNull();
    pair.until(() => pair.primary.serving && pair.primary.record.operation === null, 30);
    expect(pair.states).toBe('ha-not-configured / down');
  });

  it('maintenance disarms automatic failover on the server that heard of it, until its time is over', () => {
    const pair = pairInSync('automatic');
    pair.secondary.feed({ type: 'operator-maintenance', minutes: 2, reason: 'new disks', unixMs: pair.seconds * 1000 });
    pair.primary.crash();
    pair.run(60);
    expect(pair.states).toBe('down / secondary-lost-primary');
    pair.until(() => pair.secondary.serving, 90);
  });

  it('observe says once what it would have done, and does nothing', () => {
    const pair = pairInSync('observe');
    pair.primary.crash();
    pair.run(120);
    expect(pair.states).toBe('down / secondary-lost-primary');
    expect(pair.secondary.rules.filter((id) => id === 'S-38')).toHaveLength(1);
    pair.primary.boot(false);
    pair.until(() => pair.isProtected, 60);
  });

  it('TKO-1: the operation of activate-alone ends when the primary serves, however long it waited before', () => {
    const pair = pairInSync('manual');
    for (const server of pair.servers) server.crash();
    pair.primary.boot(false);
    pair.run(60);
    pair.primary.feed({ type: 'operator-activate-alone', operationId: 'aa', acceptDataLoss: true });
    pair.until(() => pair.primary.serving && pair.primary.record.operation === null, 60);
  });

  it('SUN-2: a failed active secondary gives the role back without loss while it streams, and with accepted loss when it does not', () => {
    const pair = pairInSync('manual');
    const failback = (force: boolean, acceptDataLoss: boolean) =>
      pair.secondary.feed({ type: 'operator-failback', operationId: 'fb', force, acceptDataLoss });
    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.feed({ type: 'process-failed', process: 'NMS Server' });
    expect(pair.secondary.record.state).toBe('secondary-uncertain');
    expect(failback(false, false).refusal).toBeNull();
    pair.until(() => pair.isProtected && pair.primary.serving, 60);
    expect(lost(pair)).toEqual([]);

    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff2' });
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    pair.secondary.database.mode = 'stopped';
    pair.until(() => pair.secondary.record.state === 'secondary-uncertain', 60);
    expect(failback(false, false).refusal).not.toBeNull();
    expect(failback(true, false).refusal).toContain('acceptDataLoss');
    expect(failback(true, true).refusal).toBeNull();
    pair.until(() => pair.isProtected && pair.primary.serving, 90);
  });
});

describe('a simulated pair whose primary is lost with its machine', () => {
  /** The secondary serves, and a new machine is in the place of the primary. */
  function pairWithNewMachine(failoverType: FailoverType, withWitness = false): SimulatedPair {
    const pair = new SimulatedPair(1, withWitness);
    pair.register(failoverType);
    pair.run(5);
    pair.loseMachineOfPrimary();
    if (failoverType === 'manual') {
      pair.until(() => pair.secondary.view.link === 'confirmed-lost', 30);
      pair.secondary.feed({ type: 'operator-failover', operationId: 'fo', acceptDataLoss: true });
    }
    pair.until(() => pair.secondary.record.state === 'secondary-active', 60);
    for (const server of pair.servers) server.history.length = 0;
    return pair;
  }

  it.each([
    ['manual', false],
    ['automatic', false],
    ['automatic', true],
  ] as const)(
    'RP-1: the new primary follows the active secondary, which serves on, and gets the role back (%s, witness %s)',
    (failoverType, withWitness) => {
      const pair = pairWithNewMachine(failoverType, withWitness);
      expect(pair.orderReplacement(failoverType)).toBeNull();
      pair.until(() => {
        expect(pair.secondary.serving).toBe(true);
        return pair.isProtected;
      }, 60);
      expect(pair.primary.history).toEqual(['ha-initializing', 'primary-preparing-for-failback', 'primary-syncing']);
      expect(pair.secondary.history).toEqual([]);
      pair.secondary.feed({ type: 'operator-failback', operationId: 'fb', force: false, acceptDataLoss: false });
      pair.until(() => pair.isProtected && pair.primary.serving, 60);
      pair.run(2);
      const written = pair.acknowledged.filter((write) => !write.startsWith('0:'));
      expect(written.filter((write) => !pair.primary.database.log.includes(write))).toEqual([]);
    },
  );

  it('is repeated when it was interrupted after the secondary had accepted it', () => {
    const pair = pairWithNewMachine('automatic');
    pair.orderReplacement('automatic');
    const accepted = () => pair.secondary.record.pairId === 'pair-2';
    pair.until(accepted, 30);
    pair.primary.crash();
    pair.run(1);
    pair.primary.boot(false);
    pair.run(30);
    expect(pair.secondary.serving).toBe(true);
    pair.until(() => pair.orderReplacement('automatic') === null, 30);
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
  });

  it('is refused while the secondary hears its primary, and a secondary that is not active refuses it', () => {
    const pair = pairInSync('manual');
    expect(replacementRefusal(pair.secondary.view, false)).toContain('the secondary is Secondary Syncing');
    pair.secondary.feed({ type: 'operator-forced-failover', operationId: 'ff' });
    pair.until(() => pair.isProtected && pair.secondary.serving, 60);
    expect(replacementRefusal(pair.secondary.view, false)).toContain(
      'the present primary is reachable and Primary Syncing',
    );
  });
});

describe('a simulated pair under random faults', () => {
  const seeds = Array.from(
    { length: Number(process.env.UNDERSTUDY_SEEDS ?? 300) },
    (_, index) => index + 1 + Number(process.env.UNDERSTUDY_FIRST_SEED ?? 0),
  );
  it.each([
    ['without a witness', false],
    ['with a witness', true],
  ])(`keeps the laws and settles within minutes after the faults, %s (${seeds.length} seeds)`, (_, withWitness) => {
    for (const seed of seeds) {
      const pair = new SimulatedPair(seed, withWitness);
      const { random } = pair;
      const type = random.pick(['manual', 'automatic', 'automatic'] as const);
      const story: string[] = [type];
      try {
        if (random.chance(0.8)) pair.register(type);
        for (let round = 0; round < 25; round++) {
          pair.lossProbability = random.pick([0, 0, 0.1, 0.5]);
          pair.failureProbability = random.pick([0, 0, 0.05, 0.3]);
          pair.effectMs = random.pick([0, 0, 300, 4000]);
          pair.blindProbability = random.pick([0, 0, 0.3, 1]);
          pair.stalled = random.chance(0.2);
          pair.hangProbability = random.pick([0, 0, 0, 0.1]);
          const server = random.pick(pair.servers);
          const fault = random.pick([
            'cut',
            'heal',
            'crash',
            'boot',
            'manager',
            'forced-failover',
            'failback',
            'failover',
            'cancel',
            'process',
            'alone',
            'remove',
            'maintenance',
            'freeze',
            'thaw',
            'late request',
            'unkillable',
            'broken',
            'mended',
            'witness',
            'stop',
            'register',
            'new machine',
            'replace',
            'wait',
          ] as const);
          story.push(`${pair.seconds.toFixed(2)} ${fault} ${server.role} [${pair.states}]`);
          const operationId = `operation-${round}`;
          if (fault === 'cut') pair.cut();
          if (fault === 'heal') pair.heal();
          if (fault === 'crash') server.crash();
          if (fault === 'boot' && !server.up) server.boot(false);
          if (fault === 'manager' && server.awake) server.boot(true);
          if (fault === 'forced-failover' && pair.secondary.awake)
            pair.secondary.feed({ type: 'operator-forced-failover', operationId });
          if (fault === 'failback' && pair.secondary.awake)
            pair.secondary.feed({
              type: 'operator-failback',
              operationId,
              force: random.chance(0.3),
              acceptDataLoss: random.chance(0.5),
            });
          if (fault === 'remove' && server.awake && random.chance(0.4))
            server.feed({
              type: 'operator-remove',
              operationId,
              confirmed: random.chance(0.7),
              acceptDataLoss: random.chance(0.5),
            });
          if (fault === 'maintenance' && server.awake) pair.maintenance(server, 1);
          if (fault === 'witness' && pair.witness !== null && random.chance(0.2)) pair.witness.lease = null;
          else if (fault === 'witness' && random.chance(0.5)) pair.witnessReach.delete(server);
          else if (fault === 'witness') pair.witnessReach.add(server);
          if (fault === 'register' && pair.primary.awake) pair.orderRegistration(type);
          if (fault === 'new machine' && random.chance(0.3)) pair.loseMachineOfPrimary();
          if (fault === 'replace' && pair.primary.awake) pair.orderReplacement(type);
          if (fault === 'stop') server.stopping = server.awake && !server.stopping;
          if (fault === 'failover' && pair.secondary.awake)
            pair.secondary.feed({ type: 'operator-failover', operationId, acceptDataLoss: random.chance(0.5) });
          if (fault === 'freeze') server.frozen = server.up;
          if (fault === 'thaw') pair.thaw(server);
          if (fault === 'unkillable') server.unkillable = server.up;
          if (fault === 'broken' || fault === 'mended') server.broken = fault === 'broken';
          if (fault === 'late request' && server.awake && server.received.length > 0)
            server.feed(random.pick(server.received));
          if (fault === 'cancel' && server.awake) server.feed({ type: 'operator-cancel' });
          if (fault === 'process' && server.serving) server.feed({ type: 'process-failed', process: 'p' });
          if (fault === 'alone' && pair.primary.awake)
            pair.primary.feed({ type: 'operator-activate-alone', operationId, acceptDataLoss: random.chance(0.5) });
          pair.run(random.pick([0.1, 0.3, 1, 4, 12, 40]));
        }
        story.push(`${pair.seconds.toFixed(2)} end of faults [${pair.states}]`);
        pair.lossProbability = 0;
        pair.failureProbability = 0;
        pair.effectMs = 0;
        pair.blindProbability = 0;
        pair.stalled = false;
        pair.hangProbability = 0;
        pair.heal();
        for (const server of pair.servers) {
          pair.thaw(server);
          server.unkillable = false;
          server.broken = false;
          server.stopping = false;
          pair.witnessReach.add(server);
          if (!server.up) server.boot(false);
          server.feed({ type: 'process-recovered' });
        }
        const settled = () => pair.isProtected || pair.isUnpaired || pair.waitsForRemoval;
        pair.until(() => settled() || pair.waitsForPrimary, 420);
        if (pair.waitsForPrimary) {
          story.push(`${pair.seconds.toFixed(2)} replacement [${pair.states}]`);
          pair.replacePrimary(type);
        }
        pair.until(settled, 420);
        if (pair.waitsForRemoval) pair.run(40); // until it knows that nobody answers
        if (pair.waitsForRemoval)
          story.push(
            `removal: ${pair.primary.feed({ type: 'operator-remove', operationId: 'end', confirmed: true, acceptDataLoss: true }).refusal}`,
          );
        // what hung when the faults ended hangs for two minutes
        pair.until(() => pair.isProtected || (pair.isUnpaired && pair.primary.serving), 200);
      } catch (error) {
        throw new Error(
          `seed ${seed}: ${(error as Error).message}\n${story.join('\n')}\nprimary ${pair.primary.rules.slice(-20).join(' ')}\nsecondary ${pair.secondary.rules.slice(-20).join(' ')}`,
        );
      }
    }
  });
});
