/** The linter must really refuse what the dependency rules forbid: breaching files in a scratch copy of the layout. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT } from './bootstrap.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'understudy-rules-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const configuration = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
writeFileSync(
  join(scratch, 'biome.json'),
  JSON.stringify({
    overrides: configuration.overrides,
    linter: { rules: { recommended: false } },
    formatter: { enabled: false },
    assist: { enabled: false },
  }),
);

/** Whether the linter accepts a file that imports `source`. */
function accepts(path, source) {
  const file = join(scratch, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `import { thing } from '${source}';\nconsole.log(thing);\n`);
  const done = spawnSync(join(ROOT, 'node_modules/.bin/biome'), ['lint', '--max-diagnostics=5', path], {
    cwd: scratch,
    encoding: 'utf8',
    timeout: 30_000,
  });
  rmSync(file);
  const said = `${done.stdout}${done.stderr}`;
  if (done.status !== 0) assert.match(said, /noRestrictedImports/, said);
  return done.status === 0;
}

const REFUSED = [
  ['libs/ha-core/src/decide.ts', 'zod'],
  ['libs/ha-core/src/decide.ts', 'node:fs'],
  ['libs/ha-core/src/decide.ts', '@understudy/contracts'],
  ['libs/ha-core/src/rules/primary.ts', '../../../contracts/src/index.ts'],
  ['libs/ha-runtime/src/host.ts', 'node:fs'],
  ['libs/ha-runtime/src/host.ts', '@understudy/platform'],
  ['libs/contracts/src/heartbeat.ts', 'node:crypto'],
  ['libs/platform/src/clock.ts', '@understudy/messaging'],
  ['libs/platform/src/clock.ts', '@nestjs/common'],
  ['libs/messaging/src/bus.ts', '@understudy/simulation'],
  ['apps/heartbeat/src/app.module.ts', '@understudy/simulation'],
  ['apps/heartbeat/src/app.module.ts', '@understudy/notifier'],
  ['apps/heartbeat/src/app.module.ts', '../../notifier/src/index.ts'],
  ['apps/heartbeat/src/app.module.ts', '@understudy/platform/src/clock.ts'],
  ['apps/heartbeat/src/domain/ladder.ts', '../adapters/probe.adapter.ts'],
  ['apps/heartbeat/src/domain/ladder.ts', '../ports/probe.port.ts'],
  ['apps/heartbeat/src/services/ladder.service.ts', '../adapters/probe.adapter.ts'],
  ['apps/heartbeat/src/controllers/beat.controller.ts', '../adapters/probe.adapter.ts'],
  ['apps/heartbeat/src/adapters/probe.adapter.ts', '../services/ladder.service.ts'],
  ['apps/composed/src/main.ts', '@understudy/simulation'],
];

const ACCEPTED = [
  ['libs/ha-core/src/rules/primary.ts', '../states.ts'],
  ['libs/ha-core/src/decide.spec.ts', 'fast-check'],
  ['libs/ha-runtime/src/host.ts', '@understudy/ha-core'],
  ['libs/contracts/src/heartbeat.ts', 'zod'],
  ['libs/platform/src/clock.ts', 'node:fs'],
  ['apps/heartbeat/src/app.module.ts', './adapters/probe.adapter.ts'],
  ['apps/heartbeat/src/app.module.ts', '@understudy/messaging'],
  ['apps/heartbeat/src/services/ladder.service.ts', '../ports/probe.port.ts'],
  ['apps/heartbeat/src/adapters/probe.adapter.ts', '../ports/probe.port.ts'],
  ['apps/heartbeat/src/services/ladder.service.spec.ts', '../adapters/probe.adapter.ts'],
  ['apps/composed/src/main.ts', '@understudy/heartbeat'],
  ['apps/ha-e2e/src/pair.ts', '@understudy/simulation'],
];

for (const [path, source] of REFUSED)
  test(`${path} must not import ${source}`, () => assert.equal(accepts(path, source), false));
for (const [path, source] of ACCEPTED)
  test(`${path} may import ${source}`, () => assert.equal(accepts(path, source), true));
