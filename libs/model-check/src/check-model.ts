import { readFileSync, writeFileSync } from 'node:fs';
import { type Beginning, beginning, GROUPS } from './beginnings.ts';
import { values } from './check-options.ts';
import { checkPlant } from './check-plant.ts';
import { Exploration, type Found, type Violation } from './explore.ts';
import type { Machine } from './mind.ts';
import { Model, PRODUCT } from './model.ts';
import type { Plant } from './plant.ts';
import { PLANTED_FAULTS } from './planted-faults.ts';
import { replay, type Scenario, table } from './trace.ts';

/** How the states are shared out. */
const STATES = { 'no witness': 500_000, 'a witness with a lease': 450_000, 'a gateway': 100_000 } as const;

const writes = values.writes === '2' ? 2 : 1;

if (values.replay !== undefined) replayFile(values.replay);
else if (values.plant === 'list') console.log(PLANTED_FAULTS.map(({ name }) => name).join('\n'));
else if (values.plant === 'all') checkAllPlants(PLANTED_FAULTS);
else explore();

function explore(): void {
  const plant = PLANTED_FAULTS.find(({ name }) => name === values.plant);
  if (values.plant !== undefined && plant === undefined)
    throw new Error(`no planted fault is called "${values.plant}"`);
  let total = 0;
  for (const [group, all] of Object.entries(GROUPS)) {
    const names: readonly Beginning[] = all.filter((name) => values.from === undefined || name === values.from);
    if (names.length === 0) continue;
    console.log(`${group}:`);
    const states = Number(values.states ?? STATES[group as keyof typeof GROUPS]);
    const found = explorePart(plant?.machine ?? PRODUCT, names, states);
    total += found.worlds;
    if (found.violation === null) continue;
    show(found.violation, names, plant?.machine ?? PRODUCT);
    process.exitCode = plant === undefined ? 1 : 0;
    return;
  }
  console.log(`${total} states: no law was broken`);
}

function explorePart(machine: Machine, names: readonly Beginning[], states: number): Found {
  const model = new Model(machine, writes);
  const found = new Exploration(model, {
    faults: Number(values.depth),
    worlds: states,
    grain: values.grain === 'fine' ? 'fine' : 'coarse',
    settleEvery: Number(values.settle),
    progress: (now) => console.error(line(now)),
  }).run(names.map((name) => beginning(model, name)));
  console.log(line(found));
  console.log(`endings when faults stop: ${JSON.stringify(found.endings)} of ${found.settled} followed`);
  console.log(
    `states by number of faults and orders: ${found.byFaults.join(', ')}${found.isComplete ? ' (complete)' : ' (the last is not complete)'}`,
  );
  return found;
}

function show(violation: Violation, names: readonly Beginning[], machine: Machine): void {
  const { law, says, actions } = violation;
  const from = names[violation.beginning] as Beginning;
  const scenario: Scenario = { from, writes, actions, breaks: { law, says } };
  console.log(`\nlaw ${law} is broken: ${says}\n`);
  console.log(table(replay(new Model(machine, writes), scenario).steps));
  if (values['trace-to'] !== undefined) writeFileSync(values['trace-to'], `${JSON.stringify(scenario, null, 2)}\n`);
}

function checkAllPlants(plants: readonly Plant[]): void {
  let missed = 0;
  for (const plant of plants) {
    const beganMs = performance.now();
    const found = checkPlant(plant);
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
    if (found === null) missed += 1;
    console.log(
      `${found === null ? 'NOT CAUGHT' : `law ${found.law}`}: ${plant.name}${found ? ` (${found.says})` : ''}, ${seconds} s`,
    );
  }
  console.log(`${plants.length - missed} of ${plants.length} planted faults caught`);
  if (missed > 0) process.exitCode = 1;
}

function replayFile(file: string): void {
  const scenario = JSON.parse(readFileSync(file, 'utf8')) as Scenario;
  const { steps, broken } = replay(new Model(PRODUCT, scenario.writes), scenario);
  console.log(table(steps));
  console.log(broken === null ? '\nno law is broken' : `\nlaw ${broken.law} is broken: ${broken.says}`);
  if (broken !== null) process.exitCode = 1;
}

function line({ worlds, transitions, seconds, byFaults }: Found): string {
  const perSecond = Math.round(transitions / Math.max(seconds, 0.001));
  return `${worlds} states, ${transitions} transitions, ${seconds.toFixed(1)} s (${perSecond} transitions/s), faults ${byFaults.length}`;
}
