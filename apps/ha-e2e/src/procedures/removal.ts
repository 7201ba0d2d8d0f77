import assert from 'node:assert/strict';
import type { PairDriver, Telling } from './driver.ts';

/** Registers the pair anew and waits until it protects itself. */
async function registerAnew(pair: PairDriver): Promise<void> {
  for (const server of [pair.secondary, pair.primary]) await server.canBePaired();
  await pair.primary.order({ kind: 'register' });
  await pair.inSync();
}

/** Spec: "Remove HA"; "How to Configure HA"; "HA Registration Fails"; "Secondary Server Goes Down"; "How to Resolve Database Synchronization Issues". */
export const REMOVAL: readonly Telling[] = [
  {
    title:
      'when HA is removed the primary serves on without a pause, and both can be registered anew, with every row on both',
    procedures: ['RM-GUI', 'REG-OK', 'DBS-1', 'RM-CLI'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      const client = await pair.startClient();
      assert.match(await secondary.refusal({ kind: 'remove' }), /only possible on the primary/);
      await primary.order({ kind: 'remove' });
      await secondary.reaches('HA Not Configured');
      await pair.conformsTo('RM-GUI');
      await client.isServed();
      assert.equal(await primary.runsApplication(), true);
      const row = await primary.write();
      await registerAnew(pair);
      await pair.conformsTo('REG-OK');
      await pair.conformsTo('DBS-1');
      assert.equal(await secondary.holds(row), true);
      assert.equal(await secondary.runsApplication(), false);

      await pair.mark();
      await primary.order({ kind: 'remove', onCommandLine: true });
      await secondary.reaches('HA Not Configured');
      await pair.conformsTo('RM-CLI');
      assert.equal(await client.lostOn(primary), 0);
      await registerAnew(pair);
    },
  },
  {
    title:
      'a secondary that goes down and does not recover is removed and registered again; when that fails, it is installed afresh and registered',
    procedures: ['SGD-2', 'REG-FAIL', 'SGD-3'],
    failoverType: 'automatic',
    async tell(pair) {
      const { primary, secondary } = pair;
      await secondary.powerOff();
      await primary.reaches('Primary Lost Secondary');
      assert.match(await primary.refusal({ kind: 'remove' }), /confirm with its name/);
      await primary.order({ kind: 'remove', confirmed: true });
      await secondary.powerOn();
      await secondary.reaches('Secondary Lost Primary');
      await secondary.reaches('HA Not Configured');
      await registerAnew(pair);
      await pair.conformsTo('SGD-2');

      await primary.order({ kind: 'remove' });
      for (const server of [secondary, primary]) await server.canBePaired();
      await pair.mark();
      await primary.begin({ kind: 'register' });
      await secondary.reaches('HA Initializing');
      await secondary.powerOff();
      await primary.reaches('HA Not Configured');
      await secondary.powerOn();
      await secondary.reaches('HA Not Configured');
      await pair.conformsTo('REG-FAIL');
      assert.equal(await primary.runsApplication(), true);
      assert.equal(await secondary.runsApplication(), false);

      await secondary.reinstall();
      await registerAnew(pair);
      await pair.conformsTo('SGD-3');
    },
  },
  {
    title: 'when HA is removed the secondary can be given another name, and both be registered under it',
    procedures: ['IPC-1'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      await primary.order({ kind: 'remove' });
      await secondary.canBePaired();
      await secondary.stop();
      await secondary.start('gamma');
      await registerAnew(pair);
      await pair.conformsTo('IPC-1');

      await primary.order({ kind: 'remove' });
      await secondary.canBePaired();
      await secondary.stop();
      await secondary.start();
      await registerAnew(pair);
    },
  },
  {
    title:
      'when HA is removed a backup is restored on the primary and the secondary installed afresh; registered anew, both have what was restored and nothing else',
    procedures: ['RM-UPG', 'RM-RST'],
    failoverType: 'manual',
    async tell(pair) {
      const { primary, secondary } = pair;
      const kept = await primary.write();
      await primary.order({ kind: 'remove' });
      await secondary.canBePaired();
      await primary.stop();
      await primary.backUp();
      await primary.start();
      await primary.serves();
      const later = await primary.write();
      await primary.stop();
      await primary.restore();
      await primary.start();
      await primary.serves();
      assert.equal(await primary.holds(kept), true);
      assert.equal(await primary.holds(later), false);

      await secondary.reinstall();
      await registerAnew(pair);
      await pair.conformsTo('RM-UPG');
      await pair.conformsTo('RM-RST');
      assert.equal(await secondary.holds(kept), true);
      assert.equal(await secondary.holds(later), false);
    },
  },
];
