import type { z } from 'zod';
import { ConfigurationFileSchema } from './configuration.schema.ts';
import type { Finding } from './cross-check.ts';

/** Turns what the schema refused into sentences with remedies. */
export function findingsOf(issues: readonly z.core.$ZodIssue[], value: unknown): Finding[] {
  return issues.flatMap((issue) => toFindings(issue, value));
}

function toFindings(issue: z.core.$ZodIssue, value: unknown): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(issue.path);
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: 'is not a known key',
      remedy: `${suggestion(key, known)}Remove it or correct its spelling.`,
    }));
  }
  const given = valueAt(value, issue.path);
  const what = describeAt(issue.path);
  if (issue.code === 'invalid_key') {
    const message = issue.issues.map((each) => each.message).join(', ');
    return [{ path: issue.path, message, remedy: 'Remove it or correct its spelling.' }];
  }
  const remedy = issue.code === 'custom' && issue.params?.remedy;
  const general = given === null ? 'Fill it or remove it.' : 'Correct the value.';
  return [
    {
      path: issue.path,
      message: given === undefined ? 'is missing' : messageOf(issue, given),
      remedy: remedy ? String(remedy) : what === undefined ? general : `Set it to ${what}.`,
    },
  ];
}

function messageOf(issue: z.core.$ZodIssue, given: unknown): string {
  const shown = show(given);
  if (issue.code === 'custom') return issue.message;
  if (issue.code === 'invalid_format' && issue.format === 'regex') return `${shown} ${issue.message}`;
  if (issue.code === 'too_small')
    return `is ${shown}, less than ${issue.minimum}${issue.origin === 'array' ? ' entries' : ''}`;
  if (issue.code === 'too_big') return `is ${shown}, more than ${issue.maximum}`;
  const wanted = wantedBy(issue);
  return wanted === undefined ? `is ${shown}: ${issue.message}` : `is ${shown}, not ${wanted}`;
}

const TYPES: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section',
  record: 'a section',
};

function wantedBy(issue: z.core.$ZodIssue): string | undefined {
  if (issue.code === 'invalid_value') return `one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'invalid_type') return TYPES[issue.expected];
  if (issue.code !== 'invalid_union') return undefined;
  if ('options' in issue && issue.options) return `one of ${issue.options.map(String).join(', ')}`;
  return issue.errors.flatMap(([first]) => (first && wantedBy(first)) ?? []).join(' or ');
}

/** Refused values are shown: none of the keys holds a secret, only names of files that do. */
function show(value: unknown): string {
  const text = value === null ? 'empty' : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

type Definition = {
  type: string;
  innerType?: z.ZodType;
  element?: z.ZodType;
  valueType?: z.ZodType;
  options?: z.ZodType[];
};

/** Walks down the schema as far as the path is known. */
function schemaAt(path: readonly PropertyKey[]): z.ZodType[] {
  let schemas: z.ZodType[] = [ConfigurationFileSchema];
  for (const key of path) {
    schemas = schemas.flatMap(unwrap).flatMap((schema) => {
      const definition = schema.def as unknown as Definition;
      if (definition.type === 'object') {
        const child = (schema as z.ZodObject).shape[String(key)] as z.ZodType | undefined;
        return child ? [child] : [];
      }
      const child = definition.type === 'array' ? definition.element : definition.valueType;
      return child ? [child] : [];
    });
  }
  return schemas;
}

function unwrap(schema: z.ZodType): z.ZodType[] {
  const definition = schema.def as unknown as Definition;
  if (definition.options) return definition.options.flatMap(unwrap);
  return definition.innerType ? unwrap(definition.innerType) : [schema];
}

function describeAt(path: readonly PropertyKey[]): string | undefined {
  for (const schema of schemaAt(path)) {
    let at: z.ZodType | undefined = schema;
    while (at) {
      if (at.description !== undefined) return at.description;
      at = (at.def as unknown as Definition).innerType;
    }
  }
  return undefined;
}

function keysAt(path: readonly PropertyKey[]): string[] {
  return schemaAt(path)
    .flatMap(unwrap)
    .flatMap((schema) =>
      (schema.def as unknown as Definition).type === 'object' ? Object.keys((schema as z.ZodObject).shape) : [],
    );
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

function suggestion(key: string, known: readonly string[]): string {
  const [nearest] = known
    .map((name) => ({ name, distance: distance(key.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(2, key.length / 3) || isWithoutUnit(key, name))
    .sort((a, b) => a.distance - b.distance);
  return nearest ? `Did you mean ${nearest.name}? ` : '';
}

/** `interval` for `intervalSeconds`. */
function isWithoutUnit(key: string, name: string): boolean {
  return key.length > 2 && name.toLowerCase().startsWith(key.toLowerCase());
}

/** Number of letters to insert, remove or replace to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
