import {
  type Change,
  type ChangeName,
  decideBy,
  type Guard,
  type GuardName,
  type HaEvent,
  type Rule,
  type Server,
  TABLES,
  type Tables,
} from '@understudy/ha-core';
import type { Beginning } from './beginnings.ts';
import type { Machine } from './mind.ts';

/** A fault put into the rules on purpose: the checker must notice it. */
export interface Plant {
  readonly name: string;
  /** The law that it breaks, by its number in the design. */
  readonly law: string;
  readonly machine: Machine;
  /** Where to look, so that it is found soon. */
  readonly from: Beginning;
  /** So many faults and orders are needed to bring it to light. */
  readonly faults: number;
  /** A run that shows it, when a search would take too long for every check. */
  readonly steps?: readonly string[];
  readonly writes?: 1 | 2;
}

/** A machine by other tables. */
export function machineOf(tables: Tables): Machine {
  return { tables, decide: (server, event) => decideBy(tables, server, event) };
}

/** The real machine with rows replaced: what `edit` returns for a row, stands in its place; null takes it out. */
export function withRules(ids: readonly string[], edit: (rule: Rule) => Rule | null): Machine {
  let edited = 0;
  const rows = (rules: readonly Rule[]) =>
    rules.flatMap((rule) => {
      if (!ids.includes(rule.id)) return [rule];
      edited += 1;
      const row = edit(rule);
      return row === null ? [] : [row];
    });
  const rules = { primary: rows(TABLES.rules.primary), secondary: rows(TABLES.rules.secondary) };
  if (edited !== ids.length) throw new Error(`a planted fault names rows that do not exist: ${ids.join(', ')}`);
  return machineOf({ ...TABLES, rules });
}

/** Rows without a guard. */
export function withoutGuard(guard: GuardName, ...ids: string[]): Machine {
  return withRules(ids, (rule) => {
    if (!rule.when.includes(guard)) throw new Error(`${rule.id} has no guard ${guard}`);
    return { ...rule, when: rule.when.filter((name) => name !== guard) };
  });
}

/** Rows without a change. */
export function withoutChange(change: ChangeName, ...ids: string[]): Machine {
  return withRules(ids, (rule) => {
    if (!rule.change?.includes(change)) throw new Error(`${rule.id} has no change ${change}`);
    return { ...rule, change: rule.change.filter((name) => name !== change) };
  });
}

/** Another meaning of a guard. */
export function withGuard(name: GuardName, guard: (server: Server, event: HaEvent, real: Guard) => boolean): Machine {
  const real = TABLES.guards[name];
  return machineOf({ ...TABLES, guards: { ...TABLES.guards, [name]: (s: Server, e: HaEvent) => guard(s, e, real) } });
}

/** Another meaning of a change. */
export function withChange(
  name: ChangeName,
  change: (server: Server, event: HaEvent, real: Change) => ReturnType<Change>,
): Machine {
  const real = TABLES.changes[name];
  return machineOf({
    ...TABLES,
    changes: { ...TABLES.changes, [name]: (s: Server, e: HaEvent) => change(s, e, real) },
  });
}

/** The real tables, but an event is changed before it is decided on, or the server after it. */
export function withEvents(
  before: (event: HaEvent, server: Server) => HaEvent,
  after: (server: Server, event: HaEvent, before: Server) => Server = (server) => server,
): Machine {
  return {
    tables: TABLES,
    decide: (server, event) => {
      const decision = decideBy(TABLES, server, before(event, server));
      return { ...decision, server: after(decision.server, event, server) };
    },
  };
}
