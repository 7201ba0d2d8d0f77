import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { NodePaths, readCertificatePolicy, SILENT_LOGGER } from '@understudy/platform';
import { CertificateTrust } from './certificate-trust.ts';

it('what operators say at the same time counts all of it', async () => {
  const paths = new NodePaths(mkdtempSync(join(tmpdir(), 'understudy-trust-')));
  mkdirSync(paths.identity);
  try {
    const surroundings = {
      paths,
      peer: () => null,
      peerLink: () => 'unknown' as const,
      repin: async () => false,
      tell: () => undefined,
    };
    const trust = new CertificateTrust(surroundings, SILENT_LOGGER);
    await trust.load();
    await Promise.all([trust.give('a'), trust.setMode('pinned'), trust.give('b')]);
    expect(await readCertificatePolicy(paths)).toEqual({ mode: 'pinned', given: ['a', 'b'] });
    expect([trust.objection('a'), trust.objection('b')]).toEqual([null, null]);
    expect(trust.objection('c')).toContain('"understudy cert pin c"');
    await trust.takeBack('a');
    await expect(trust.takeBack('a')).rejects.toThrow('a was not given beforehand');
    expect(trust.objection('a')).toContain('"understudy cert pin a"');
    expect(await readCertificatePolicy(paths)).toEqual({ mode: 'pinned', given: ['b'] });
  } finally {
    rmSync(paths.dataDirectory, { recursive: true });
  }
});
