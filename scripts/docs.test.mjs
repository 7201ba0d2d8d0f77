/** The documents must not speak of what is not there: files, states, commands, options, rules. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { before, test } from 'node:test';
import { ROOT } from './bootstrap.mjs';

const HELP_OPTIONS = ['-h', '--help'];

const documents = ['README.md', ...markdownIn('docs'), ...(existsSync(join(ROOT, 'infra')) ? markdownIn('infra') : [])];
const operations = documents.filter((path) => path.startsWith('docs/operations/'));
const text = (path) => readFileSync(join(ROOT, path), 'utf8');
let core;
let program;

before(async () => {
  for (const built of ['libs/ha-core/dist/index.js', 'apps/cli/dist/program.js'])
    assert.ok(existsSync(join(ROOT, built)), `${built} is missing: run "npm run build" first`);
  core = await import(join(ROOT, 'libs/ha-core/dist/index.js'));
  const cli = await import(join(ROOT, 'apps/cli/dist/program.js'));
  program = cli.buildProgram(() => undefined);
});

test('relative links lead to files, and to headings where they name one', () => {
  const broken = documents.flatMap((path) =>
    linksOf(text(path))
      .filter((link) => !isRight(path, link))
      .map((link) => `${path}: ${link}`),
  );
  assert.deepEqual(broken, []);
});

test('state names in the operator’s guide are states', () => {
  const labels = new Set(Object.values(core.HA_STATE_LABELS));
  const wrong = operations.flatMap((path) =>
    emphasised(text(path))
      .filter(
        (name) =>
          /^(Primary|Secondary|HA|Health Monitor) [A-Z][A-Za-z ]*$/.test(name) && !isMode(name) && !labels.has(name),
      )
      .map((name) => `${path}: ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test('status lines in the operator’s guide show states, roles and failover types that exist', () => {
  const labels = new Set(Object.values(core.HA_STATE_LABELS));
  const lines = operations.flatMap((path) => text(path).match(/^.*\[State\].*$/gm) ?? []);
  assert.ok(lines.length > 0);
  for (const line of lines) {
    const { role, state } =
      /\[Role\] (?<role>\w+) .*?\[State\] (?<state>[A-Za-z ]+?)(?: \[Failover Type\] \w+| \)|$)/.exec(line)?.groups ?? {
        role: '',
        state: '',
      };
    assert.ok(labels.has(state), line);
    assert.ok(['Primary', 'Secondary'].includes(role), line);
    const home = core.STATES_OF_ROLE[role.toLowerCase()].map((name) => core.HA_STATE_LABELS[name]);
    assert.ok(home.includes(state), `${line}: not a state of the ${role}`);
  }
});

test('command lines are commands and options of the program', () => {
  const found = documents.flatMap((path) => commandLines(text(path)).map((line) => ({ path, line })));
  assert.ok(found.length > 0);
  const wrong = found.flatMap(({ path, line }) => {
    const problem = problemOf(line);
    return problem === null ? [] : [`${path}: ${line}: ${problem}`];
  });
  assert.deepEqual(wrong, []);
});

test('the page of commands has every command and option, with the words of the program', () => {
  const page = text('docs/operations/commands.md');
  const later = page.slice(page.indexOf('\n## Not yet available\n'));
  for (const { command, name } of leaves(program)) {
    const words = command.description();
    if (words.includes('(not yet available)')) {
      const row = later.split('\n').find((line) => line.includes(`\`understudy ${name}`));
      assert.ok(row?.includes(words), `"understudy ${name}" must stand under "Not yet available" with "${words}"`);
      continue;
    }
    const section = sectionOf(page, `understudy ${name}`);
    assert.ok(section !== null, `docs/operations/commands.md has no heading for "understudy ${name}"`);
    assert.ok(section.includes(words), `${name}: its description is "${words}"`);
    for (const { long } of command.options) assert.ok(section.includes(`\`${long}`), `${name}: ${long} is missing`);
  }
  for (const { long } of program.options) assert.ok(page.includes(`\`${long}`), `${long} is missing`);
});

test('rules that are named exist', () => {
  const ids = new Set([...core.RULES.primary, ...core.RULES.secondary].map(({ id }) => id));
  const wrong = documents.flatMap((path) =>
    (text(path).match(/\b[PS]-\d+\b/g) ?? []).filter((id) => !ids.has(id)).map((id) => `${path}: ${id}`),
  );
  assert.deepEqual(wrong, []);
});

test('the decision table leads to every page of the operator’s guide', () => {
  const index = linksOf(text('docs/operations/README.md')).map((link) => link.split('#')[0]);
  const pages = operations.map((path) => path.slice('docs/operations/'.length)).filter((name) => name !== 'README.md');
  assert.deepEqual(
    pages.filter((name) => !index.includes(name)),
    [],
  );
});

function markdownIn(folder) {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort();
}

/** Targets of links and pictures that are no URLs. */
function linksOf(markdown) {
  const prose = markdown.replaceAll(/```[\s\S]*?```/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link).filter((link) => !/^[a-z]+:/.test(link));
}

function isRight(path, link) {
  const [file, anchor] = link.split('#');
  const target = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || headings(text(target)).includes(anchor);
}

/** Anchors as GitHub makes them. */
function headings(markdown) {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** What stands in backticks or bold, in one another too; `A / B` and `A -> B` are taken apart. */
function emphasised(markdown) {
  const prose = markdown.replaceAll(/```[\s\S]*?```/g, '');
  return [...prose.matchAll(/`([^`]+)`/g), ...prose.matchAll(/\*\*([^*]+)\*\*/g)]
    .flatMap(([, words]) => words.split(/ \/ | -> /))
    .map((name) => name.replaceAll('`', '').trim());
}

function isMode(name) {
  return core.CONFIGURATION_MODES.includes(name);
}

/** Command lines in code, without prompt, comment, and what follows a pipe. */
function commandLines(markdown) {
  const blocks = [...markdown.matchAll(/```(?:sh|console|bash)?\n([\s\S]*?)```/g)].flatMap(([, body]) =>
    body.split('\n'),
  );
  const inline = [...markdown.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, body]) => body);
  return [...blocks, ...inline]
    .map(
      (line) =>
        line
          .replace(/^\S*\$ /, '')
          .replace(/ #.*$/, '')
          .split(/ [|&;] | && /)[0]
          ?.trim() ?? '',
    )
    .filter((line) => /^(sudo )?(bin\/|\S+\/bin\/)?understudy( |$)/.test(line));
}

/** What is wrong with a command line, null when nothing is. */
function problemOf(line) {
  const words = line.match(/"[^"]*"|'[^']*'|\S+/g)?.slice(line.startsWith('sudo ') ? 2 : 1) ?? [];
  let command = program;
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    if (word === '--') return null; // what follows is another program's
    if (word === '...' || word.startsWith('[')) continue;
    if (word.startsWith('-')) {
      const [name] = word.split('=');
      const option = optionsOf(command).find(({ long, short }) => long === name || short === name);
      if (HELP_OPTIONS.includes(name)) continue;
      if (option === undefined) return `${command.name()} has no option ${name}`;
      if ((option.required || option.optional) && !word.includes('=')) index++;
      continue;
    }
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next !== undefined) command = next;
    else if (/^[A-Z]/.test(word)) continue;
    else if (command.commands.length > 0) return `${command.name()} has no command ${word}`;
    else if (command.registeredArguments.length === 0) return `${command.name()} takes no "${word}"`;
  }
  return null;
}

function optionsOf(command) {
  return command === null ? [] : [...command.options, ...optionsOf(command.parent)];
}

/** The commands that do something, with their names: `ha status`. */
function leaves(command, names = []) {
  return command.commands
    .filter((child) => child.name() !== '?')
    .flatMap((child) =>
      child.commands.length > 0
        ? leaves(child, [...names, child.name()])
        : [{ command: child, name: [...names, child.name()].join(' ') }],
    );
}

/** A section of a page by the code in its heading; null when there is none. */
function sectionOf(page, title) {
  const start = page.indexOf(`\n### \`${title}\`\n`);
  if (start < 0) return null;
  return page.slice(start + 1).split(/\n(?=##)/)[0];
}
