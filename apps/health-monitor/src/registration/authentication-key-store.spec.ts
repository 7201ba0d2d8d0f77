import { mkdtemp, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NodePaths } from '@understudy/platform';
import { AuthenticationKeyStore } from './authentication-key-store.ts';
import { newSalt, stretchKey } from './stretched-key.ts';

describe('the authentication key', () => {
  let directory: string;
  let keyFile: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'understudy-key-'));
    keyFile = join(directory, 'auth.key');
  });
  afterEach(async () => rm(directory, { recursive: true, force: true }));
  const secondary = () => new AuthenticationKeyStore(new NodePaths(directory), keyFile, true, 'beta');
  const primary = () => new AuthenticationKeyStore(new NodePaths(directory), null, false, 'alpha');

  it('is taken from the file, kept as a verifier only, and not stretched anew at the next start', async () => {
    await writeFile(keyFile, '  Correct horse 7\n');
    const store = secondary();
    expect(await store.verify('Correct horse 7')).toEqual({ configured: true, valid: true });
    expect(await store.verify('Correct horse 8')).toEqual({ configured: true, valid: false });
    const kept = await readFile(store.file, 'utf8');
    expect(kept).not.toContain('orrect');
    expect((await stat(store.file)).mode & 0o777).toBe(0o600);
    await secondary().read();
    expect(await readFile(store.file, 'utf8')).toBe(kept);
  });

  it('follows the file: another content is another key, the same content keeps its salt', async () => {
    await writeFile(keyFile, 'First key 1');
    const store = secondary();
    const first = await store.read();
    await writeFile(keyFile, 'First key 1\n');
    expect((await store.read())?.salt).toEqual(first?.salt);
    await writeFile(keyFile, 'Second key 2');
    expect((await store.verify('Second key 2')).valid).toBe(true);
    expect((await store.verify('First key 1')).valid).toBe(false);
  });

  it('survives the removal of the file, but asks for it at installation', async () => {
    await expect(secondary().read()).rejects.toThrow(/cannot read .*auth\.key \(ENOENT\)/);
    await writeFile(keyFile, 'short');
    await expect(secondary().read()).rejects.toThrow(/has 5 characters; it needs at least 8/);
    await writeFile(keyFile, 'Beta-2026');
    await expect(secondary().read()).rejects.toThrow(/contains the name beta/);
    await writeFile(keyFile, 'Long enough 3');
    await secondary().read();
    await unlink(keyFile);
    expect((await secondary().verify('Long enough 3')).valid).toBe(true);
  });

  it('is set by registration on the primary', async () => {
    expect(await primary().verify('anything')).toEqual({ configured: false, valid: false });
    const salt = newSalt();
    await primary().store({ salt, verifier: await stretchKey('of the pair', salt) });
    expect((await primary().verify('of the pair')).valid).toBe(true);
  });
});
