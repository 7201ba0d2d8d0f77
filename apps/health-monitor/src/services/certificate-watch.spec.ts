import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeIdentity, SILENT_LOGGER } from '@understudy/platform';
import { CertificateWatch } from './certificate-watch.ts';

const DAY_MS = 24 * 3_600_000;

describe('the watch over certificates', () => {
  const directory = mkdtempSync(join(tmpdir(), 'certificate-watch-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  let made: string;
  let renewed: string;
  beforeAll(async () => {
    made = (await makeIdentity({ name: 'alpha', address: '127.0.0.1' }, 100)).certificatePem;
    renewed = (await makeIdentity({ name: 'alpha', address: '127.0.0.1' }, 1000)).certificatePem;
  });

  it('tells 30, 7 and 1 day before the end, the end, and the renewal, each once and over a restart', async () => {
    const told: string[] = [];
    let days = 0;
    let certificatePem = made;
    const file = join(directory, 'levels.json');
    const watch = () =>
      new CertificateWatch(
        async () => [{ key: 'own', title: 'The certificate of alpha', certificatePem }],
        ({ severity, code, message }) => void told.push(`${severity} ${code} ${message.slice(0, 47)}`),
        file,
        () => Date.now() + days * DAY_MS,
        SILENT_LOGGER,
      );
    const look = async (at: number) => {
      days = at;
      const fresh = watch();
      await fresh.start();
      await fresh.look();
      fresh.stop();
      return told.splice(0);
    };
    expect(await look(69)).toEqual([]);
    expect(await look(70.5)).toEqual(['warning certificate-expires The certificate of alpha expires within 30 days']);
    expect(await look(92)).toEqual([]);
    expect(await look(93.5)).toEqual(['warning certificate-expires The certificate of alpha expires within 7 days,']);
    expect(await look(99.5)).toEqual(['critical certificate-expires The certificate of alpha expires within 1 day, ']);
    expect(await look(101)).toEqual([
      expect.stringMatching('critical certificate-expired The certificate of alpha has expired'),
    ]);
    expect(await look(102)).toEqual([]);
    certificatePem = renewed;
    expect(await look(103)).toEqual([
      expect.stringMatching('info certificate-clear The certificate of alpha: valid until'),
    ]);
    expect(await look(104)).toEqual([]);
  });
});
