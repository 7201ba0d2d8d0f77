import { describe, expect, it } from '@jest/globals';
import { incompatibility, type ServerFacts } from './compatibility.ts';

const primary: ServerFacts = {
  name: 'alpha',
  role: 'primary',
  version: '1.2.3',
  databaseVersion: '15.18 (Debian 15.18-0+deb12u1)',
  fingerprint: 'aa',
};
const secondary: ServerFacts = {
  name: 'beta',
  role: 'secondary',
  version: '1.2.9',
  databaseVersion: '15.3',
  fingerprint: 'bb',
};

describe('which two servers can be a pair', () => {
  it.each<[string, Partial<ServerFacts>, string | null]>([
    ['same minor version, same PostgreSQL major', {}, null],
    ['same role', { role: 'primary' }, 'wrong-role'],
    ['same name', { name: 'alpha' }, 'same-name'],
    ['same certificate', { fingerprint: 'aa' }, 'same-name'],
    ['other minor version', { version: '1.3.0' }, 'wrong-version'],
    ['other major version', { version: '2.2.3' }, 'wrong-version'],
    ['other PostgreSQL major version', { databaseVersion: '16.1' }, 'wrong-version'],
  ])('%s', (_, difference, code) => {
    const other = { ...secondary, ...difference };
    expect(incompatibility(primary, other)?.code ?? null).toBe(code);
    expect(incompatibility(other, primary)?.code ?? null).toBe(code);
  });

  it('says it when a server is to be paired with itself', () => {
    expect(incompatibility(primary, primary)?.message).toContain('that is alpha itself');
  });
});
