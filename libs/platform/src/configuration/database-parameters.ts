import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { NodeConfiguration } from './configuration.schema.ts';
import type { ConfigurationProblem } from './load-configuration.ts';

/** It answers within some 40 ms; a machine that is so busy that it does not is no reason to refuse a configuration. */
const LIMIT_MS = 10_000;

/**
 * What PostgreSQL says against `database.parameters`: an unknown name, a value of the wrong kind or out of range. Asks its own program,
 * which reads no data for that and starts nothing. Empty where there is no PostgreSQL.
 */
export function databaseParameterProblems(file: string, { database }: NodeConfiguration): ConfigurationProblem[] {
  const { binDirectory, parameters } = database;
  const names = Object.keys(parameters);
  if (binDirectory === null || names.length === 0) return [];
  const objection = (chosen: readonly string[]) =>
    objectionTo(
      join(binDirectory, 'postgres'),
      chosen.map((name) => `${name}=${parameters[name]}`),
    );
  if (objection(names) === null) return [];
  return names.flatMap((name) => {
    const message = objection([name]);
    if (message === null) return [];
    const remedy = 'Correct it or leave it out: PostgreSQL would not start.';
    return [{ file, key: `database.parameters.${name}`, message: `is refused by PostgreSQL: ${message}`, remedy }];
  });
}

function objectionTo(postgres: string, settings: readonly string[]): string | null {
  const { status, stderr } = spawnSync(
    postgres,
    ['-C', 'config_file', '--config-file=/dev/null', '-D', '/', ...settings.flatMap((setting) => ['-c', setting])],
    { encoding: 'utf8', timeout: LIMIT_MS, env: { LC_ALL: 'C' } },
  );
  return status === 0 ? null : (/FATAL:\s+(.*)/.exec(stderr)?.[1] ?? null);
}
