import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type ConfigurationFile, ConfigurationFileSchema, type NodeConfiguration } from './configuration.schema.ts';
import { crossCheck, type Finding, type Listed, type SoundSections } from './cross-check.ts';
import { type Override, overridesOf, setAt } from './environment-overrides.ts';
import { findPostgresqlBinDirectory } from './find-postgresql.ts';
import { findingsOf } from './findings.ts';
import { FileSetSchema, ProcessSchema } from './processes.schema.ts';

/** One thing wrong with the configuration: where, what, and how to mend it. */
export interface ConfigurationProblem {
  /** The file, or `environment variable NAME`. */
  readonly file: string;
  /** Dotted key, e.g. `heartbeat.intervalSeconds`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

/** What loading gives: the configuration, or every problem of it at once. */
export type LoadedConfiguration =
  | { readonly ok: true; readonly configuration: NodeConfiguration }
  | { readonly ok: false; readonly problems: readonly ConfigurationProblem[] };

/**
 * Reads a server's configuration file (YAML, and so JSON too), overridden by environment variables. Never throws: whatever is
 * wrong comes back as problems.
 */
export function loadConfiguration(file: string, environment: NodeJS.ProcessEnv = process.env): LoadedConfiguration {
  const document = readYaml(file);
  if ('problem' in document) return { ok: false, problems: [document.problem] };
  const overrides = overridesOf(environment, Object.keys(ConfigurationFileSchema.shape));
  return interpret(file, document.value, overrides, environment.PATH ?? '');
}

/** One line for people: `FILE: KEY: what is wrong; how to mend it`. */
export function formatProblem({ file, key, message, remedy }: ConfigurationProblem): string {
  return `${file}: ${key === '' ? '' : `${key} `}${message}. ${remedy}`;
}

function interpret(
  file: string,
  value: Record<string, unknown>,
  overrides: Override[],
  path: string,
): LoadedConfiguration {
  const located = (finding: Finding): ConfigurationProblem => {
    const origin = overrides.find(({ path: at }) => isSameOrBelow(finding.path, at) || isSameOrBelow(at, finding.path));
    return {
      file: origin ? `environment variable ${origin.variable}` : file,
      key: finding.path.map(String).join('.'),
      message: finding.message,
      remedy: finding.remedy,
    };
  };
  const misplaced: ConfigurationProblem[] = [];
  for (const { variable, path: at, value: overriding } of overrides) {
    if (setAt(value, at, overriding)) continue;
    misplaced.push({
      file: `environment variable ${variable}`,
      key: at.join('.'),
      message: 'lies below a value that is no section',
      remedy: 'Correct the name of the variable.',
    });
  }
  let parsed = ConfigurationFileSchema.safeParse(value);
  if (!parsed.success && takeTextsAsTheyAre(value, overrides, parsed.error.issues)) {
    parsed = ConfigurationFileSchema.safeParse(value);
  }
  if (!parsed.success) {
    const findings = [...findingsOf(parsed.error.issues, value), ...crossCheck(soundSections(value))];
    return { ok: false, problems: [...misplaced, ...findings.map(located)] };
  }
  const findings = crossCheck(parsed.data);
  if (misplaced.length + findings.length > 0) return { ok: false, problems: [...misplaced, ...findings.map(located)] };
  return { ok: true, configuration: complete(parsed.data, path) };
}

const ENTRIES: Readonly<Record<Listed, z.ZodRawShape>> = {
  fileSets: FileSetSchema.shape,
  processes: ProcessSchema.shape,
};

/** The sections that would be accepted by themselves, with their defaults; of a list that would not, what would be of its entries. */
function soundSections(value: Record<string, unknown>): SoundSections {
  const lists = Object.entries(ENTRIES).map(([name, shape]) => {
    const list = value[name];
    return [name, Array.isArray(list) ? list.map((entry) => soundKeys(shape, entry)) : undefined];
  });
  return { ...Object.fromEntries(lists), ...soundKeys(ConfigurationFileSchema.shape, value) };
}

function soundKeys(shape: z.ZodRawShape, value: unknown): Record<string, unknown> {
  const keys = (value ?? {}) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(shape).flatMap(([name, schema]) => {
      const parsed = z.safeParse(schema, keys[name]);
      return parsed.success ? [[name, parsed.data]] : [];
    }),
  );
}

/** `UNDERSTUDY_NODE__NAME=123` means the text 123, not the number: where a text is wanted, the variable's own text is taken. */
function takeTextsAsTheyAre(
  value: Record<string, unknown>,
  overrides: Override[],
  issues: readonly z.core.$ZodIssue[],
): boolean {
  let changed = false;
  for (const issue of issues) {
    const wantsText = issue.code === 'invalid_type' && issue.expected === 'string';
    const origin =
      wantsText && overrides.find((override) => override.path.join('.') === issue.path.map(String).join('.'));
    if (origin) changed = setAt(value, origin.path, origin.text) || changed;
  }
  return changed;
}

function complete(file: ConfigurationFile, searchPath: string): NodeConfiguration {
  const { binDirectory, dataDirectory, ...database } = file.database;
  return {
    ...file,
    database: {
      ...database,
      binDirectory: binDirectory ?? findPostgresqlBinDirectory(searchPath),
      dataDirectory: dataDirectory ?? join(file.node.dataDirectory, 'postgresql'),
    },
  };
}

function readYaml(file: string): { value: Record<string, unknown> } | { problem: ConfigurationProblem } {
  const problem = (message: string, remedy: string) => ({ problem: { file, key: '', message, remedy } });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return problem('does not exist', 'Name an existing file with --config FILE.');
    if (code === 'EISDIR') return problem('is a directory', 'Name the file in it with --config FILE.');
    return problem(`cannot be read (${code ?? String(error)})`, 'Make the file readable for this user.');
  }
  const document = parseDocument(text, { uniqueKeys: true });
  const [error] = document.errors;
  if (error) return problem(`is not valid YAML: ${error.message.split(/:?\n/)[0]}`, 'Correct the syntax.');
  const value: unknown = document.toJS() ?? {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return problem('holds no sections', 'Begin with a section such as "node:".');
  }
  return { value: value as Record<string, unknown> };
}

function isSameOrBelow(path: readonly PropertyKey[], ancestor: readonly PropertyKey[]): boolean {
  return ancestor.length <= path.length && ancestor.every((key, index) => String(key) === String(path[index]));
}
