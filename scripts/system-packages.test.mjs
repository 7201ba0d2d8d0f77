import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isInstalled } from './bootstrap.mjs';
import { missingPackages, onPath } from './system-packages.mjs';

const need = (name, purpose, isThere) => ({ package: name, for: purpose, isPresent: () => isThere });

test('the demonstration asks only for what it needs, the tests for everything', () => {
  const needs = [need('a', 'demo', false), need('b', 'tests', false), need('c', 'demo', true)];
  assert.deepEqual(missingPackages('demo', needs), ['a']);
  assert.deepEqual(missingPackages('tests', needs), ['a', 'b']);
});

test('a program is found where system programs are', () => {
  assert.equal(onPath('sh'), true);
  assert.equal(onPath('no-such-program'), false);
});

test('what is installed is compared with the lock file, optional packages apart', () => {
  const root = mkdtempSync(join(tmpdir(), 'understudy-lock-'));
  const lock = (file, packages) => {
    mkdirSync(join(root, 'node_modules'), { recursive: true });
    writeFileSync(join(root, file), JSON.stringify({ packages }));
  };
  const wanted = {
    '': {},
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b': { version: '1.0.0', optional: true },
  };
  try {
    assert.equal(isInstalled(root), false);
    lock('package-lock.json', wanted);
    assert.equal(isInstalled(root), false);
    lock('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.0' } });
    assert.equal(isInstalled(root), true);
    lock('node_modules/.package-lock.json', { 'node_modules/a': { version: '0.9.0' } });
    assert.equal(isInstalled(root), false);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
