import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const PATH = fileURLToPath(new URL('../../dist/adapters/path.adapter.js', import.meta.url));
const HOSTS = '127.0.0.9 alpha\n127.0.0.8 beta\n10.9.9.9 gamma\n';
const describeAsRoot = process.getuid?.() === 0 ? describe : describe.skip;

// Forward and back, as this machine's own resolver says.
describeAsRoot('names (needs root)', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'readiness-names-'));
    writeFileSync(join(directory, 'hosts'), HOSTS);
    writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** What is found by a server with that `node.address` of another one, on a machine with these hosts. */
  function problems(own: string, other: string): string[] {
    const file = join(directory, 'names.mjs');
    writeFileSync(
      file,
      `const { pathProbes } = await import(${JSON.stringify(PATH)});
       const probe = pathProbes({ configuration: { node: { address: '${own}' } } }).find(({ title }) => title === 'names');
       const found = await probe.measure(AbortSignal.timeout(5000), { server: { address: '${other}' }, ticket: null });
       console.log(JSON.stringify(found.names.value.problems));`,
    );
    const mounts = ['hosts', 'resolv.conf']
      .map((name) => `mount --bind ${directory}/${name} /etc/${name}`)
      .join(' && ');
    const shell = ['-m', 'sh', '-c', `${mounts} && exec ${process.execPath} ${file}`];
    return JSON.parse(execFileSync('unshare', shell, { encoding: 'utf8' }));
  }

  it('that lead there and back are in order, as addresses are', () => {
    expect(problems('alpha', 'beta')).toEqual([]);
    expect(problems('127.0.0.9', '10.9.9.9')).toEqual([]);
  }, 30_000);

  it.each([
    ['alpha', 'nobody', 'nobody cannot be looked up'],
    ['gamma', 'beta', 'gamma leads to 10.9.9.9, which is no address of this server'],
  ])(
    '%s and %s are not',
    (own, other, problem) => {
      expect(problems(own, other)).toContain(problem);
    },
    30_000,
  );
});
