import { formatLsn } from '@understudy/ha-core';
import { ACTIONS } from './actions.ts';
import { type Beginning, beginning } from './beginnings.ts';
import type { BrokenLaw } from './laws-of-decisions.ts';
import { lawOfWorld } from './laws-of-steps.ts';
import type { Model } from './model.ts';
import { nameOperations } from './orders.ts';
import { lawOfRest, Settling } from './settle.ts';
import type { Side, World } from './world.ts';

/** A run that can be replayed: a beginning, and what happened from there. */
export interface Scenario {
  readonly from: Beginning;
  readonly writes: 1 | 2;
  readonly actions: readonly string[];
  /** The law that broke at its end when it was written, or null. */
  readonly breaks: BrokenLaw | null;
}

/** One step of a replayed run. */
export interface Step {
  readonly action: string;
  readonly rules: readonly string[];
  readonly world: World;
}

/** Runs a scenario again. Throws when an action is unknown or cannot happen where it stands. */
export function replay(
  model: Model,
  scenario: Scenario,
): { readonly steps: readonly Step[]; readonly broken: BrokenLaw | null } {
  let world = beginning(model, scenario.from);
  const steps: Step[] = [{ action: scenario.from, rules: [], world }];
  for (const name of scenario.actions) {
    const action = ACTIONS.find((candidate) => candidate.name === name);
    if (action === undefined) throw new Error(`no action is called "${name}"`);
    model.begin();
    const reached = action.apply(model, world);
    if (reached === null) throw new Error(`"${name}" cannot happen at step ${steps.length}`);
    const rules = [...model.fired];
    const { broken } = model;
    world = model.normal(nameOperations(model, reached));
    steps.push({ action: name, rules, world });
    const law = broken ?? lawOfWorld(world);
    if (law !== null) return { steps, broken: law };
  }
  model.begin();
  const ending = new Settling(model).ending(world);
  return { steps, broken: model.broken ?? lawOfRest(ending) };
}

/** The run as a table for people: a line per step, a column per server. */
export function table(steps: readonly Step[]): string {
  const rows = steps.map(({ action, rules, world }, index) => [
    String(index),
    action,
    rules.join(' '),
    describe(world, 0),
    describe(world, 1),
    linkOf(world),
  ]);
  const all = [['', 'what happens', 'rules', 'primary', 'secondary', 'link'], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join(' | ')
        .trimEnd(),
    )
    .join('\n');
}

function describe({ minds, bodies }: World, side: Side): string {
  const { record } = minds[side].value;
  const body = bodies[side].value;
  const words = [record.state, `e${record.epoch}`, record.hold === 0 ? '' : `owns ${record.hold}`];
  words.push(body.power === 'on' ? '' : body.power);
  words.push(
    `${body.mode}${body.hung ? ' (hangs)' : ''}${body.mode === 'none' ? '' : `@${formatLsn(BigInt(body.log.length))}`}`,
  );
  words.push(body.processes ? 'app' : '');
  const effects = record.inFlight?.effects.map(({ kind }) => kind) ?? [];
  if (effects.length > 0)
    words.push(`[${effects.map((kind, index) => (index === body.progress?.index ? `>${kind}` : kind)).join(' ')}]`);
  words.push(
    body.rightMs === null ? '' : `right ${body.rightMs / 1000} s`,
    record.maintenance === null ? '' : 'maintenance',
  );
  return words.filter((word) => word !== '').join(' ');
}

function linkOf({ net, witness, minds }: World): string {
  const { cut, messages } = net.value;
  const arrows = `${cut[0] ? '-x' : '->'} ${cut[1] ? 'x-' : '<-'}`;
  const { lease, cut: away } = witness.value;
  const third =
    minds[0].value.settings.witness === null ? [] : [`witness${away[0] ? ' -P' : ''}${away[1] ? ' -S' : ''}`];
  if (lease !== null) third.push(`lease ${lease.role === 'primary' ? 'P' : 'S'}${lease.epoch}`);
  return [arrows, ...messages.map(({ from, kind }) => `${kind} from ${from === 0 ? 'P' : 'S'}`), ...third].join(' ');
}
