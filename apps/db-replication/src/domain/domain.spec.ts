import { describe, expect, it } from '@jest/globals';
import { connectionString } from '@understudy/platform';
import { renderAccessFiles } from './access-rules.ts';
import { decideRejoin, type OwnPast, type PeerPast } from './rejoin-decision.ts';
import { RestartPolicy } from './restart-policy.ts';
import { renderServerConfiguration, withoutOwnSettings } from './server-configuration.ts';
import { forkOf, parseTimelineHistory } from './timeline-history.ts';
import { parseSegmentName, recordEnd, segmentName } from './wal-position.ts';

const GEOMETRY = { walBlockBytes: 8192, walSegmentBytes: 16 * 1024 * 1024 };

describe('positions', () => {
  it('find the end of a record within a page, at its end, and over page and segment headers', () => {
    expect(recordEnd(0x3000028n, 114, GEOMETRY)).toBe(0x3000028n + 120n);
    expect(recordEnd(0x3002000n - 120n, 114, GEOMETRY)).toBe(0x3002000n);
    expect(recordEnd(0x3002000n - 112n, 114, GEOMETRY)).toBe(0x3002000n + 24n + 8n);
    expect(recordEnd(0x4000000n - 112n, 114, GEOMETRY)).toBe(0x4000000n + 40n + 8n);
  });

  it('name segments and read their names', () => {
    expect(segmentName(2, 0x1_0300_0000n, GEOMETRY.walSegmentBytes)).toBe('000000020000000100000003');
    expect(parseSegmentName('000000020000000100000003', GEOMETRY.walSegmentBytes)).toEqual({
      timeline: 2,
      start: 0x1_0300_0000n,
    });
    expect(parseSegmentName('00000002.history', GEOMETRY.walSegmentBytes)).toBeNull();
  });
});

it('finds where two histories part by positions, not by numbers alone', () => {
  const one = parseTimelineHistory(1, '');
  const two = parseTimelineHistory(2, '1\t0/3000000\tno recovery target specified\n');
  const other = parseTimelineHistory(3, '1\t0/2000000\tx\n\n2\t0/4000000\ty\n');
  expect(forkOf(one, two)).toEqual({ timeline: 1, lsn: 0x3000000n });
  expect(forkOf(two, two)).toEqual({ timeline: 2, lsn: null });
  expect(forkOf(two, other)).toEqual({ timeline: 1, lsn: 0x2000000n });
});

describe('rejoining', () => {
  const own: OwnPast = {
    systemIdentifier: '7',
    timeline: 1,
    branch: parseTimelineHistory(1, ''),
    endOfWal: 0x3000000n,
    wasWriter: true,
    canRewind: true,
    redoLsn: 0x2000000n,
  };
  const peer: PeerPast = {
    systemIdentifier: '7',
    timeline: 2,
    branch: parseTimelineHistory(2, '1\t0/3000000\tx\n'),
    position: 0x5000000n,
    oldestWal: null,
    slotLost: false,
  };
  const limits = { forceCopy: false, awaySeconds: null, retentionSeconds: 3600 };

  it.each([
    [3600, 3600, 'follow'],
    [3600, 3601, 'copy'],
    [24 * 3600, 24 * 3600 - 1, 'follow'],
    [24 * 3600, 24 * 3600, 'copy'],
  ])('with a retention of %i s and an absence of %i s it is a %s', (retentionSeconds, awaySeconds, method) => {
    expect(decideRejoin(own, peer, { ...limits, retentionSeconds, awaySeconds }).method).toBe(method);
  });

  it('takes the gentlest way that can work', () => {
    expect(decideRejoin(own, peer, limits)).toMatchObject({ method: 'follow', divergedFrom: null });
    expect(decideRejoin({ ...own, endOfWal: 0x3000001n }, peer, limits)).toMatchObject({
      method: 'rewind',
      divergedFrom: { timeline: 1, lsn: 0x3000000n },
    });
    expect(decideRejoin({ ...own, endOfWal: 0x3000001n, canRewind: false }, peer, limits).method).toBe('copy');
    expect(decideRejoin(own, { ...peer, oldestWal: 0x3000000n }, limits).method).toBe('follow');
    expect(decideRejoin(own, { ...peer, oldestWal: 0x4000000n }, limits).method).toBe('copy');
    expect(decideRejoin({ ...own, endOfWal: 0x3000001n }, { ...peer, oldestWal: 0x3000000n }, limits).method).toBe(
      'copy',
    );
    expect(decideRejoin(own, peer, { ...limits, awaySeconds: 3601 }).method).toBe('copy');
    expect(decideRejoin(own, peer, { ...limits, forceCopy: true }).method).toBe('copy');
    expect(decideRejoin({ ...own, systemIdentifier: '8' }, peer, limits)).toMatchObject({
      method: 'copy',
      isForeign: true,
    });
  });

  it('does not believe two writers on one timeline', () => {
    const same = { ...peer, timeline: 1, branch: parseTimelineHistory(1, '') };
    expect(decideRejoin(own, same, limits).method).toBe('copy');
    expect(decideRejoin({ ...own, wasWriter: false }, same, limits).method).toBe('follow');
  });
});

it('lets the peer replicate by its certificate only, and leaves out rules that would keep PostgreSQL from starting', () => {
  const rules = [
    'host all all 10.0.0.0/8 scram-sha-256',
    'host all all 10.0.0.1 trust',
    'hostssl all all all nonsense',
  ];
  const { hba, ident, refused } = renderAccessFiles({ peerName: 'beta', accessRules: rules });
  expect(hba).toContain('hostssl replication understudy_replication all cert clientcert=verify-full map=understudy');
  expect(hba.indexOf('reject')).toBeLessThan(hba.indexOf(rules[0] as string));
  expect(ident).toContain('understudy understudy-beta understudy_replication');
  expect(refused.map(({ rule }) => rule)).toEqual(rules.slice(1));
  expect(renderAccessFiles({ peerName: null, accessRules: [] }).hba).not.toContain('cert');
});

it.each([
  ['host all all 10.77.0.0/33 md5', '"10.77.0.0/33" is no network, such as 10.0.0.0/24'],
  ['host all all 10.77.0/24 md5', '"10.77.0/24" is no network, such as 10.0.0.0/24'],
  ['host all all 300.1.1.1/24 md5', '"300.1.1.1/24" is no network, such as 10.0.0.0/24'],
  ['host all all 10.0.0.0 255.0.0.999 md5', '"255.0.0.999" is no mask, such as 10.0.0.0/32'],
  ['host all all 10.0.0.0 255.0.255.0 md5', '"255.0.255.0" is no mask, such as 10.0.0.0/32'],
  ['host all all ::1 md5', 'address ::1 has no mask, such as ::1/128'],
  ['host all all 10.0.0.1 md5', 'address 10.0.0.1 has no mask, such as 10.0.0.1/32'],
  ['host all all 10.0.0.0/8 md5 foo=bar', '"foo" is no option'],
])('refuses %s: %s', (rule, reason) => {
  expect(renderAccessFiles({ peerName: null, accessRules: [rule] }).refused).toEqual([{ rule, reason }]);
});

it.each([
  'host all all ::1/128 scram-sha-256',
  'host all all fd00::/8 scram-sha-256',
  'host all all 10.0.0.0 255.255.0.0 scram-sha-256',
  'host all all samenet scram-sha-256',
  'host all all .example.org scram-sha-256',
  'hostssl all all app.example.org cert map=users clientname=DN',
  'host all all 10.0.0.0/8 ldap ldapserver=ldap.example.org ldapport=389',
])('takes %s', (rule) => {
  expect(renderAccessFiles({ peerName: null, accessRules: [rule] }).refused).toEqual([]);
});

it('keeps the settings that the pair rests on, and says which configured ones lost', () => {
  const { text, clashes } = renderServerConfiguration({
    serverName: 'alpha',
    listenAddresses: ['10.0.0.1', '127.0.0.1'],
    port: 5432,
    socketDirectory: '/run/x',
    certificateFile: null,
    keyFile: null,
    peerCertificateFile: null,
    source: null,
    walKeepLimitBytes: 1024 ** 3,
    synchronousPeer: null,
    parameters: { FSYNC: 'off', work_mem: "8MB'" },
    capacity: null,
  });
  expect(text).toContain("fsync = 'on'");
  expect(text).toContain("work_mem = '8MB'''");
  expect(clashes).toEqual([{ name: 'fsync', configured: 'off', ours: 'on' }]);
  expect(withoutOwnSettings("primary_conninfo = 'x'\nwork_mem = '1MB'\n")).toEqual({
    text: "work_mem = '1MB'\n",
    removed: ['primary_conninfo'],
  });
  expect(withoutOwnSettings("work_mem = '1MB'\n")).toBeNull();
});

it('quotes connection strings', () => {
  expect(connectionString({ host: 'a', options: "it's \\" })).toBe("host='a' options='it\\'s \\\\'");
});

it('counts three failures within a minute as the end of quick restarts, and heals by itself', () => {
  const policy = new RestartPolicy();
  expect([policy.failed(0), policy.failed(1000), policy.failed(2000)]).toEqual([0, 0, 5000]);
  expect(policy.isExhausted(2000)).toBe(true);
  expect(policy.isExhausted(61_000)).toBe(false);
});
