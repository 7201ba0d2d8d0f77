import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type NodeConfiguration, NodePaths, readOwnIdentity } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';
import { ensureOwnServer } from './own-server.ts';

const configuration = {
  node: { name: 'alpha', role: 'primary', address: '10.77.0.1' },
  ports: {},
} as unknown as NodeConfiguration;

let directory: string;
let paths: NodePaths;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-own-server-'));
  paths = new NodePaths(directory);
  mkdirSync(paths.identity, { recursive: true });
  await ensureOwnServer(configuration, paths);
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('a server that is started', () => {
  it.each<[string, () => void, RegExp]>([
    [
      'with a certificate from a backup and the key of a later one',
      () => copyFileSync(join(directory, 'other.pem'), paths.certificate),
      /do not belong together/,
    ],
    ['with half a certificate', () => writeFileSync(paths.certificate, '-----BEGIN CERT'), /PEM/],
    ['with a damaged note of a renewal', () => writeFileSync(paths.renewal, '{'), /renewal\.json is damaged/],
  ])('%s says what to do, and starts when that is done', async (_, damage, reason) => {
    const other = new NodePaths(join(directory, 'other'));
    mkdirSync(other.identity, { recursive: true });
    await ensureOwnServer(configuration, other);
    copyFileSync(other.certificate, join(directory, 'other.pem'));
    damage();
    const started = ensureOwnServer(configuration, paths);
    await expect(started).rejects.toBeInstanceOf(NotStartable);
    await expect(started).rejects.toThrow(reason);
    await expect(started).rejects.toThrow('or remove certificate.pem and renewal.json, so that new ones are made');
    for (const file of [paths.certificate, paths.renewal]) rmSync(file, { force: true });
    await ensureOwnServer(configuration, paths);
    expect(await readOwnIdentity(paths)).not.toBeNull();
  });
});
