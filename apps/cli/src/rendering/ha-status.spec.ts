import { describe, expect, it } from '@jest/globals';
import type { ProcessView, StatusView } from '@understudy/contracts';
import { haStatusLine, statusLines } from './ha-status.ts';

const secondary = {
  node: { name: 'beta', address: '10.77.0.2', homeRole: 'secondary', version: '0.1.0' },
  peer: { name: 'alpha', address: '10.77.0.1' },
  state: 'Secondary Active',
  failoverType: 'manual',
  database: { running: true, usable: true },
  processes: [process('FTP Service', 'disabled'), process('NMS Server', 'running')],
} as unknown as StatusView;

function process(name: string, state: ProcessView['state'], reason = ''): ProcessView {
  return { name, adapter: 'exec', state, pid: null, since: null, restarts: 0, critical: true, reason };
}

describe('ha status', () => {
  it('names the primary on the secondary', () => {
    expect(haStatusLine(secondary)).toBe(
      '[Role] Secondary [Primary Server] alpha(10.77.0.1) [State] Secondary Active [Failover Type] Manual',
    );
  });

  it('names the secondary on the primary', () => {
    const primary = {
      ...secondary,
      node: { ...secondary.node, name: 'alpha', homeRole: 'primary' },
      peer: { ...secondary.peer, name: 'beta', address: '10.77.0.2' },
      state: 'Primary Active',
      failoverType: 'automatic',
    } as StatusView;
    expect(haStatusLine(primary)).toBe(
      '[Role] Primary [Secondary Server] beta(10.77.0.2) [State] Primary Active [Failover Type] Automatic',
    );
  });

  it('names the maintenance that is under way, and its end', () => {
    const maintenance = { until: '2026-11-30T13:00:00.000Z', minutes: 30, reason: 'disks' };
    expect(haStatusLine({ ...secondary, maintenance })).toMatch(
      /\[Failover Type\] Manual \[Maintenance\] until 2026-11-30T13:00:00.000Z: disks$/,
    );
  });

  it('leaves the peer out when there is none', () => {
    expect(haStatusLine({ ...secondary, peer: null, state: 'HA Not Configured' })).toBe(
      '[Role] Secondary [State] HA Not Configured [Failover Type] Manual',
    );
  });
});

describe('status', () => {
  it('has a line for the Health Monitor, the database and each process', () => {
    expect(statusLines(secondary)).toEqual([
      'Health Monitor Server is running. ( [Role] Secondary [State] Secondary Active )',
      'Database server is running',
      'FTP Service is disabled',
      'NMS Server is running.',
    ]);
  });

  it('says what does not run, and why', () => {
    const broken = {
      ...secondary,
      database: { ...secondary.database, running: false },
      processes: [process('A', 'failed', 'exit code 1'), process('B', 'stopped'), process('C', 'starting')],
    } as StatusView;
    expect(statusLines(broken).slice(1)).toEqual([
      'Database server is not running',
      'A is not running (failed: exit code 1).',
      'B is not running.',
      'C is starting.',
    ]);
  });
});
