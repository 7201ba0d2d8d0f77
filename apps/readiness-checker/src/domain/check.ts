import type { Measurements, ReadinessCheck } from '@understudy/contracts';
import type { ServerRole } from '@understudy/ha-core';

/** A server's measurements, or why there are none; `isSilent`: there is such a server, but it does not answer. */
export type Side = { readonly measurements: Measurements } | { readonly missing: string; readonly isSilent?: boolean };

/** Both servers, by home role. */
export interface Sides {
  readonly primary: Side;
  readonly secondary: Side;
}

/** What each server needs, from the configuration; sizes in bytes. */
export interface Requirements {
  readonly cpus: number;
  readonly memory: number;
  readonly disk: number;
  /** Percent of a file system from which its use is warned of. */
  readonly warnPercent: number;
}

/** What is wrong with one side or with the two of them; null: nothing. */
export type Objection = { readonly status: 'warning' | 'failed'; readonly reason: string } | null;

/** What a field of the measurements holds when it was measured. */
export type Measured<Field extends keyof Measurements> = Extract<
  NonNullable<Measurements[Field]>,
  { value: unknown }
>['value'];

type Line = Omit<ReadinessCheck, 'previous'>;

/** One line of the checklist, as it judges. Pure. */
export interface Check {
  readonly name: string;
  judge(sides: Sides, requirements: Requirements): Line;
}

/** A line of the checklist as data: what it looks at, how that is shown, and what is wrong with it. */
export interface CheckDefinition<Field extends keyof Measurements> {
  readonly name: string;
  readonly group: ReadinessCheck['group'];
  readonly lists: ReadinessCheck['lists'];
  readonly impact: string;
  readonly recommendation: string;
  readonly field: Field;
  readonly show: (value: Measured<Field>) => string;
  /** Asked of each side by itself. */
  readonly each?: (value: Measured<Field>, requirements: Requirements, role: ServerRole) => Objection;
  /** Asked when both sides were measured and neither is at fault by itself. */
  readonly both?: (primary: Measured<Field>, secondary: Measured<Field>) => Objection;
  /** That a server gives no answer is itself what is looked for. */
  readonly failsWhenSilent?: boolean;
  /** Why a value that was measured says nothing; null: it does. */
  readonly silent?: (value: Measured<Field>) => string | null;
}

export const failed = (reason: string): Objection => ({ status: 'failed', reason });
export const warning = (reason: string): Objection => ({ status: 'warning', reason });

const ROLES = ['primary', 'secondary'] as const;
const CHECK_AGAIN = 'Mend what kept it from being checked, and run the checks again.';

/** Makes a check of its definition. A side that was not measured can fail nothing and pass nothing. */
export function check<Field extends keyof Measurements>(definition: CheckDefinition<Field>): Check {
  const { name, group, lists, impact, recommendation, field, show, each, both, silent, failsWhenSilent } = definition;
  const judge = (sides: Sides, requirements: Requirements): Line => {
    const read = ROLES.map((role) => ({ role, reading: readingOf(sides[role], field) }));
    const values = read.flatMap(({ role, reading }) => ('value' in reading ? [{ role, value: reading.value }] : []));
    const objections = values.flatMap(({ role, value }) => {
      const objection = each?.(value, requirements, role) ?? null;
      return objection === null ? [] : [{ ...objection, reason: `${role}: ${objection.reason}` }];
    });
    for (const role of failsWhenSilent ? ROLES : []) {
      const side = sides[role];
      if ('missing' in side && side.isSilent) objections.push({ status: 'failed', reason: `${role}: ${side.missing}` });
    }
    const [first, second] = values;
    if (objections.length === 0 && first !== undefined && second !== undefined) {
      const objection = both?.(first.value, second.value) ?? null;
      if (objection !== null) objections.push(objection);
    }
    const unknown = read.flatMap(({ role, reading }) => {
      const side = sides[role];
      if (failsWhenSilent && 'missing' in side && side.isSilent) return [];
      const reason = 'value' in reading ? (silent?.(reading.value) ?? null) : reading.notMeasured;
      return reason === null ? [] : [`${role}: not checked: ${reason}`];
    });
    const shown = (index: number) => {
      const reading = read[index]?.reading;
      return reading !== undefined && 'value' in reading ? show(reading.value) : null;
    };
    const status = objections.some((objection) => objection.status === 'failed')
      ? 'failed'
      : objections.length > 0
        ? 'warning'
        : unknown.length > 0
          ? 'not-checked'
          : 'passed';
    return {
      ...{ name, group, lists, status },
      reason: [...objections.map(({ reason }) => reason), ...unknown].join('; '),
      impact: status === 'passed' ? 'None' : impact,
      recommendation: status === 'passed' ? 'None' : status === 'not-checked' ? CHECK_AGAIN : recommendation,
      primary: shown(0),
      secondary: shown(1),
    };
  };
  return { name, judge };
}

type ReadingOf<Field extends keyof Measurements> = { value: Measured<Field> } | { notMeasured: string };

function readingOf<Field extends keyof Measurements>(side: Side, field: Field): ReadingOf<Field> {
  if ('missing' in side) return { notMeasured: side.missing };
  const reading = side.measurements[field];
  return (reading ?? { notMeasured: 'its release does not know this check' }) as ReadingOf<Field>;
}
