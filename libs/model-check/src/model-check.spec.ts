import { describe, expect, it } from '@jest/globals';
import { GUARDS, type GuardName, TABLES } from '@understudy/ha-core';
import { BEGINNINGS, beginning, GROUPS } from './beginnings.ts';
import { checkPlant } from './check-plant.ts';
import { OTHER_CLOCK_GUARDS, STATE_LIMITS_MS } from './clock-classes.ts';
import { Exploration } from './explore.ts';
import { Model } from './model.ts';
import { PLANTED_FAULTS } from './planted-faults.ts';
import { replay } from './trace.ts';

describe('the model', () => {
  it('knows of every guard whether it looks at a clock', () => {
    const looksAtClock = (name: GuardName) => /atMs|waited\(/.test(String(GUARDS[name])) || name in STATE_LIMITS_MS;
    const known = new Set<string>([...Object.keys(STATE_LIMITS_MS), ...OTHER_CLOCK_GUARDS]);
    const names = Object.keys(TABLES.guards) as GuardName[];
    expect(names.filter((name) => looksAtClock(name) && !known.has(name))).toEqual([]);
  });

  it.each(BEGINNINGS)('begins at %s by the rules themselves', (name) => {
    const states = beginning(new Model(), name).minds.map(({ value }) => value.record.state);
    const expected = {
      installed: ['ha-not-configured', 'ha-not-configured'],
      protected: ['primary-active', 'secondary-syncing'],
      swapped: ['primary-syncing', 'secondary-active'],
    };
    expect(states).toEqual(expected[name.split('-')[0] as keyof typeof expected]);
  });

  it('replays a run', () => {
    const actions = ['primary loses its power', 'primary starts', 'primary goes on with its effects'];
    const { steps, broken } = replay(new Model(), { from: 'protected-manual', writes: 1, actions, breaks: null });
    expect(broken).toBeNull();
    expect(steps.at(-1)?.world.minds[0].value.record.state).toBe('primary-alone');
  });
});

describe('the laws', () => {
  it.each(Object.entries(GROUPS))(
    'hold with %s in runs with one fault or order, and the pair settles afterwards',
    (_, names) => {
      const model = new Model();
      const found = new Exploration(model, { faults: 1, worlds: 14_000, grain: 'coarse', settleEvery: 40 }).run(
        names.map((name) => beginning(model, name)),
      );
      expect(found.violation).toBeNull();
    },
    120_000,
  );
});

describe('a planted fault is caught', () => {
  it('there are enough of them', () => {
    expect(PLANTED_FAULTS.length).toBeGreaterThanOrEqual(70);
  });

  it.each(PLANTED_FAULTS.map((plant) => [plant.name, plant] as const))(
    '%s',
    (_, plant) => {
      const found = checkPlant(plant);
      expect(found).not.toBeNull();
      expect(found?.law.split(' ')[0]).toBe(plant.law);
    },
    120_000,
  );
});
