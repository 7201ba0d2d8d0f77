/**
 * Which layer may import what, as rules of the linter. The layers are the Nx tags `layer:*` in each package.json;
 * `--check` fails when biome.json does not say what they and the table below say, `--write` brings it up to date.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './bootstrap.mjs';

/** The libraries an application may use: all but the simulation. */
const LIBS_OF_APPS = ['ha-core', 'ha-runtime', 'contracts', 'platform', 'telemetry', 'messaging'];

/**
 * `libs`: the libraries of this project a layer may import, by their root. `only`: everything else it may import
 * (absent: any package and Node module but those in `never`).
 */
export const LAYERS = {
  core: { libs: [], only: [] },
  runtime: { libs: ['ha-core'], only: [] },
  contract: { libs: ['ha-core'], only: ['zod'] },
  platform: { libs: ['ha-core'], never: ['@nestjs/**', '@nats-io/**'] },
  telemetry: { libs: ['platform'], never: ['@nestjs/**', '@nats-io/**'] },
  messaging: { libs: ['contracts', 'platform', 'telemetry', 'ha-core'] },
  simulation: { libs: ['ha-core', 'ha-runtime', 'contracts', 'platform'], never: ['@nestjs/**', '@nats-io/**'] },
  app: { libs: LIBS_OF_APPS },
  composition: { libs: LIBS_OF_APPS, apps: true },
  e2e: { libs: [...LIBS_OF_APPS, 'simulation'] },
};

/** Inside an app, from the inside out: a folder sees those named, never the others; the module file sees all. */
export const FOLDERS = {
  domain: [],
  ports: ['domain'],
  services: ['domain', 'ports'],
  controllers: ['domain', 'services'],
  adapters: ['domain', 'ports'],
};

/** What biome.json must hold under `overrides`: two per layer (sources, tests) and one per folder inside an app. */
export function overrides(packages) {
  const result = [];
  for (const [layer, rule] of Object.entries(LAYERS)) {
    const sources = packages.filter((entry) => entry.layer === layer).map(({ folder }) => `**/${folder}/src/**`);
    if (sources.length === 0) continue;
    const tests = sources.flatMap((source) => [`${source}/*.spec.ts`, `${source}/*.scenario.ts`]);
    result.push(override(sources, [packageGroup(rule, layer, false)]));
    if (layer === 'app') result.push(...folderOverrides(packages, rule));
    result.push(override(tests, [packageGroup(rule, layer, true)]));
  }
  const unknown = packages.find(({ layer }) => !LAYERS[layer]);
  if (unknown) throw new Error(`${unknown.folder}/package.json has the tag layer:${unknown.layer}, which has no rule`);
  return result;
}

function folderOverrides(packages, rule) {
  const apps = packages.filter(({ layer }) => layer === 'app');
  return Object.entries(FOLDERS).map(([name, seen]) => {
    const hidden = Object.keys(FOLDERS).filter((other) => other !== name && !seen.includes(other));
    const sees = seen.length === 0 ? 'libraries only' : seen.map((other) => `${other}/`).join(' and ');
    const message = `${name}/ may see ${sees}; only the module file sees all.`;
    // The last override that fits a file replaces those before it: it repeats the rule of the layer.
    return override(
      apps.map(({ folder }) => `**/${folder}/src/${name}/**`),
      [packageGroup(rule, 'app', false), { group: hidden.map((other) => `../**/${other}/**`), message }],
    );
  });
}

/** The packages of the workspace with their layer, sorted by folder. */
export function packagesOf(root = ROOT) {
  return ['apps', 'libs'].flatMap((kind) =>
    readdirSync(join(root, kind))
      .filter((name) => existsSync(join(root, kind, name, 'package.json')))
      .sort()
      .map((name) => {
        const { nx } = JSON.parse(readFileSync(join(root, kind, name, 'package.json'), 'utf8'));
        const tags = (nx?.tags ?? []).filter((tag) => tag.startsWith('layer:'));
        if (tags.length !== 1) throw new Error(`${kind}/${name}/package.json needs exactly one tag layer:*`);
        return { folder: `${kind}/${name}`, layer: tags[0].slice('layer:'.length) };
      }),
  );
}

/** Patterns like in .gitignore: the last one that matches counts. */
function packageGroup(rule, layer, isTest) {
  const own = [...rule.libs, ...(isTest ? ['simulation'] : [])];
  const allowed = own.map((lib) => `!@understudy/${lib}`);
  // Tests may use the simulation and the test tools. Past the end of the own package: a library is imported by its name, an app never.
  const escapes = ['../**/src/**', '../**/dist/**', '../**/libs/**', '../**/apps/**'];
  const closed = rule.only && !isTest;
  const base = closed ? ['**', '!./**', '!../**', ...rule.only.map((name) => `!${name}`)] : (rule.never ?? []);
  const apps = rule.apps ? ['!@understudy/*'] : [];
  const hidden = rule.apps ? ['@understudy/simulation', '@understudy/ha-e2e', '@understudy/*/**'] : [];
  const group = [...base, '@understudy/**', ...apps, ...hidden, ...allowed, ...escapes];
  return { group, message: `Dependency rule of layer:${layer}: ${describe(rule, own)}.` };
}

function describe(rule, libs) {
  const names = libs.map((lib) => `@understudy/${lib}`);
  if (rule.apps) names.push('the apps');
  const ours = names.length === 0 ? 'nothing of this project' : `${names.join(', ')}, by their root only`;
  if (rule.only) return `it may import ${[ours, ...rule.only].join('; ')}, and nothing else`;
  return `of this project it may import ${ours}${rule.never ? `; never ${rule.never.join(', ')}` : ''}`;
}

function override(includes, patterns) {
  const options = { patterns };
  return { includes, linter: { rules: { style: { noRestrictedImports: { level: 'error', options } } } } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(ROOT, 'biome.json');
  const now = JSON.parse(readFileSync(file, 'utf8'));
  const wanted = { ...now, overrides: overrides(packagesOf()) };
  if (process.argv.includes('--write')) {
    writeFileSync(file, JSON.stringify(wanted, null, 2));
    spawnSync(join(ROOT, 'node_modules/.bin/biome'), ['format', '--write', file], { cwd: ROOT, stdio: 'inherit' });
  } else if (JSON.stringify(now) !== JSON.stringify(wanted)) {
    console.error('biome.json does not follow the layers: run "node scripts/dependency-rules.mjs --write".');
    process.exitCode = 1;
  }
}
