import { describe, expect, it } from '@jest/globals';
import { differencesFrom } from './conformance.ts';

const TAKEOVER = ['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Failover', 'Secondary Active'];

describe('differencesFrom', () => {
  it('accepts exactly the states of the procedure, whatever came before and after', () => {
    const observed = {
      primary: ['HA Initializing', 'Primary Active', 'Primary Lost Secondary', 'Primary Failover'],
      secondary: ['HA Initializing', ...TAKEOVER],
    };
    expect(differencesFrom('NDA-1', observed)).toEqual([]);
  });

  it('overlooks the start-up pseudo-state and a state entered twice in a row', () => {
    const observed = {
      primary: ['Primary Active', 'Health Monitor Available', 'Primary Alone', 'Primary Alone', 'Primary Active'],
      secondary: ['Secondary Syncing', 'Secondary Lost Primary', 'Secondary Syncing'],
    };
    expect(differencesFrom('PRS-1', observed)).toEqual([]);
  });

  it('refuses another state in between', () => {
    const observed = {
      primary: ['Primary Active', 'Primary Lost Secondary'],
      secondary: [
        'Secondary Syncing',
        'Secondary Lost Primary',
        'Secondary Alone',
        'Secondary Failover',
        'Secondary Active',
      ],
    };
    expect(differencesFrom('NDA-1', observed)).toEqual([
      expect.stringMatching(/^NDA-1 secondary: expected .* observed /),
    ]);
  });

  it('accepts an accepted alternative', () => {
    const observed = {
      primary: ['Primary Lost Secondary', 'Primary Failover'],
      secondary: ['Secondary Lost Primary', 'Secondary Failover', 'Secondary Active'],
    };
    expect(differencesFrom('NDM-3', observed)).toEqual([]);
  });

  it('asks nothing of a server that is down throughout', () => {
    expect(differencesFrom('FO-AUTO', { primary: [], secondary: TAKEOVER })).toEqual([]);
  });
});
