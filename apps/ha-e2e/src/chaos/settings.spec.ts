import { describe, expect, it } from '@jest/globals';
import { readSettings } from './settings.ts';

describe('the command line of a chaos run', () => {
  it('has a default for everything', () => {
    expect(readSettings([])).toMatchObject({ minutes: 10, hasWitness: true, layout: 'separate', restLimitMs: 90_000 });
    expect(readSettings(['--help'])).toBeNull();
  });

  it('takes what is given', () => {
    const words = ['--minutes', '3', '--seed', '7', '--witness', 'none', '--only', 'kill postgres,cut the link'];
    expect(readSettings(words)).toMatchObject({
      minutes: 3,
      seed: 7,
      hasWitness: false,
      kinds: [{ name: 'kill postgres' }, { name: 'cut the link' }],
    });
  });

  it.each([
    [['--minutes', 'ten'], '--minutes ten: give a number from'],
    [['--minutes', '0'], '--minutes 0: give a number from'],
    [['--seed', '-1'], '--seed'],
    [['--seed', '1.5'], '--seed 1.5: give an integer'],
    [['--witness', 'gateway'], '--witness gateway: there are nats and none'],
    [['--layout', 'one'], '--layout one: there are separate and composed'],
    [['--only', 'kill everything'], '--only kill everything: no such kind'],
    [['--witness', 'none', '--only', 'wipe the witness'], '--only wipe the witness: no such kind with these settings'],
    [['--rest-seconds', '1'], '--rest-seconds 1'],
    [['--minuets', '3'], "'--minuets'"],
    [['three'], "'three'"],
  ])('refuses %j and says what would be right', (words, message) => {
    expect(() => readSettings(words)).toThrow(message);
  });
});
