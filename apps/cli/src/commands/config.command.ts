import { CliError, EXIT } from '../cli-error.ts';
import { type GlobalOptions, ownConfigurationFile } from '../client/connect.ts';
import { say, sayJson } from '../rendering/output.ts';

/** `config check`: every problem of the file at once, exit code 2 when there is one; what has no effect yet, and what this machine lacks for it. */
export async function checkConfiguration(options: GlobalOptions): Promise<void> {
  const { databaseParameterProblems, formatProblem, loadConfiguration, settingsWithoutEffect } = await import(
    '@understudy/platform'
  );
  const file = ownConfigurationFile(options);
  const loaded = loadConfiguration(file);
  const problems = loaded.ok ? databaseParameterProblems(file, loaded.configuration) : loaded.problems;
  const warnings = loaded.ok ? settingsWithoutEffect(loaded.configuration) : [];
  const { objectionsOfMachine } = await import('../node-runner/index.ts');
  const onThisMachine = loaded.ok ? objectionsOfMachine(loaded.configuration, process.env.PATH ?? '') : [];
  const valid = problems.length === 0;
  if (options.json) sayJson({ file, valid, problems, warnings, onThisMachine });
  if (!valid) throw new CliError(EXIT.usage, options.json ? '' : problems.map(formatProblem).join('\n'));
  if (options.json) return;
  for (const warning of warnings) say(`${file}: ${warning}.`);
  for (const objection of onThisMachine) say(`It would not run on this machine yet: ${objection}.`);
  say(`${file} is valid.`);
}

/** `config show`: the effective values, secrets masked. */
export async function showConfiguration(options: GlobalOptions): Promise<void> {
  const { effectiveConfigurationForShow, formatProblem, loadConfiguration } = await import('@understudy/platform');
  const loaded = loadConfiguration(ownConfigurationFile(options));
  if (!loaded.ok) throw new CliError(EXIT.usage, loaded.problems.map(formatProblem).join('\n'));
  const shown = effectiveConfigurationForShow(loaded.configuration);
  if (options.json) sayJson(shown);
  else process.stdout.write((await import('yaml')).stringify(shown));
}
