import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { loadConfiguration, type NodeConfiguration } from '@understudy/platform';
import { applicationObjections, fileSetObjections } from './application-objections.ts';

it('what the application lacks on this machine is told with its key, before a takeover finds it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-objections-'));
  try {
    const file = join(directory, 'node.yaml');
    writeFileSync(join(directory, 'data'), 'no program');
    const processes = [
      { name: 'Sound', command: ['sh', '-c', 'true'], user: 'root', workingDirectory: '/' },
      { name: 'Web', command: [join(directory, 'data')], user: 'nobody-of-this-name' },
      { name: 'Away', command: ['no-such-program'], workingDirectory: '/nowhere' },
      { name: 'Off', command: ['/nowhere/at-all'], enabled: false },
      { name: 'Unit', unit: 'nginx.service' },
      { name: 'Beside', command: ['./sh'], workingDirectory: '/bin' },
      { name: 'Place', command: ['/bin'] },
    ];
    const node = { name: 'alpha', role: 'primary', address: '10.77.0.1', dataDirectory: directory };
    writeFileSync(file, JSON.stringify({ node, processes, virtualIp: { interface: 'nowhere0' } }));
    const loaded = loadConfiguration(file, {});
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    expect(applicationObjections(loaded.configuration, '/usr/bin:/bin')).toEqual([
      `processes.1.command: there is no program ${directory}/data, which Web needs`,
      'processes.1.user: there is no user "nobody-of-this-name", which Web needs',
      'processes.2.command: there is no program no-such-program, which Away needs',
      'processes.2.workingDirectory: there is no directory /nowhere, which Away needs',
      'processes.6.command: there is no program /bin, which Place needs',
      'virtualIp.interface: there is no network interface nowhere0',
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it('a file set that is no directory is told, and one that is missing on the server that has the files', () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-objections-'));
  try {
    const at = (name: string) => join(directory, name);
    mkdirSync(at('there'));
    writeFileSync(at('file'), 'no directory');
    const paths = { a: at('there'), b: at('file'), c: at('missing'), d: at('file/below') };
    const fileSets = Object.entries(paths).map(([name, path]) => ({ name, path }));
    const objections = (role: string) =>
      fileSetObjections({ node: { role }, fileSets } as unknown as NodeConfiguration);
    const noDirectories = [
      `fileSets.1.path: ${paths.b} is no directory: a file set is one`,
      `fileSets.3.path: ${paths.d} is no directory: a file set is one`,
    ];
    expect(objections('secondary')).toEqual(noDirectories);
    expect(objections('primary')).toEqual([
      noDirectories[0],
      `fileSets.2.path: there is no directory ${paths.c}: create it, or mount its disk`,
      noDirectories[1],
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
