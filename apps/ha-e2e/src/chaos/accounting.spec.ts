import { describe, expect, it } from '@jest/globals';
import { accountFor, commitKey, presentRows, type SetAsidePart } from './accounting.ts';
import { type AcknowledgedWrite, longestOutageMs, parseWrite, type ServerName } from './acknowledged-write.ts';

function write(sequence: number, timeline = 1, transaction = 700 + sequence): AcknowledgedWrite {
  const acknowledgedMs = sequence * 100;
  return {
    run: 'client',
    sequence,
    server: 'alpha',
    startMs: acknowledgedMs - 5,
    acknowledgedMs,
    timeline,
    transaction,
  };
}

function part(commits: readonly AcknowledgedWrite[], isNamed = true): SetAsidePart {
  return { server: 'alpha', folder: '/set-aside/1', isNamed, commits: new Set(commits.map(commitKey)) };
}

const WRITES = [write(1), write(2), write(3)];
const ALL = presentRows([['client', '1,2,3']]);

describe('the account of acknowledged rows', () => {
  it('is in order when all are on both servers', () => {
    expect(accountFor(WRITES, { active: ALL, standby: ALL }, [])).toEqual({
      acknowledged: 3,
      present: 3,
      setAside: 0,
      unnamed: [],
      unaccounted: [],
      missingOnStandby: [],
    });
  });

  const some = presentRows([['client', '1,3']]);

  it('finds a row that is nowhere', () => {
    const account = accountFor(WRITES, { active: some, standby: some }, [part([write(1)])]);
    expect(account).toMatchObject({ present: 2, setAside: 0, unaccounted: [write(2)] });
  });

  it('finds a row whose run has vanished altogether', () => {
    expect(accountFor(WRITES, { active: new Map(), standby: new Map() }, []).unaccounted).toEqual(WRITES);
  });

  it('takes a row for set aside when its commit is in what was kept, and an event names that', () => {
    const account = accountFor(WRITES, { active: some, standby: some }, [part([write(2)])]);
    expect(account).toMatchObject({ present: 2, setAside: 1, unaccounted: [], unnamed: [] });
  });

  it('does not take the same transaction of another timeline for it', () => {
    const account = accountFor(WRITES, { active: some, standby: some }, [part([write(2, 2)])]);
    expect(account.unaccounted).toEqual([write(2)]);
  });

  it('finds what is set aside without a word', () => {
    const account = accountFor(WRITES, { active: some, standby: some }, [part([write(2)], false)]);
    expect(account).toMatchObject({ setAside: 0, unaccounted: [], unnamed: [write(2)] });
  });

  it('finds what the standby lacks', () => {
    expect(accountFor(WRITES, { active: ALL, standby: some }, []).missingOnStandby).toEqual([write(2)]);
  });
});

describe('the log of an observer', () => {
  const serverAt = (address: string): ServerName => (address.endsWith('1') ? 'alpha' : 'beta');

  it('is read line by line', () => {
    expect(parseWrite('client', 'a 5.1 9.9 3 10.77.0.12 4 812', serverAt)).toEqual({
      run: 'client',
      sequence: 3,
      server: 'beta',
      startMs: 5.1,
      acknowledgedMs: 9.9,
      timeline: 4,
      transaction: 812,
    });
    expect(parseWrite('client', 'u 1200.0 3 10.77.0.12', serverAt)).toBeUndefined();
  });

  it('tells the longest outage that ended in a time', () => {
    const writes = [write(1), write(2), write(30), write(31), write(80)];
    expect(longestOutageMs(writes, 0, 7000)).toBe(2800);
    expect(longestOutageMs(writes, 3000, 9000)).toBe(4900);
    expect(longestOutageMs(writes, 9000, 10_000)).toBe(0);
  });
});
