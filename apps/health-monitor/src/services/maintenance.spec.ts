import { expect, it } from '@jest/globals';
import { atStart, newRecord, type ServerRecord } from '@understudy/ha-core';
import { type Bus, BusError } from '@understudy/messaging';
import type { HealthMonitorService } from './health-monitor.service.ts';
import { MaintenanceService } from './maintenance.ts';

const NOW = { nowMs: () => 1000, unixMs: () => 1000 };
const LEASE = { kind: 'nats' as const, leaseMs: 6000, fenceMs: 1200 };
const UNDER_WAY = { reason: 'disks', minutes: 60, untilMs: 3_601_000, runId: 'run', untilUnixMs: 3_601_000 };

/** A service on a secondary with a witness, and what its monitor was ordered; `answer`: what the active server says. */
function onStandby(answer: () => Promise<{ accepted: boolean; reason: string }>, more: Partial<ServerRecord> = {}) {
  const ordered: string[] = [];
  const settings = {
    maximumLagBytes: 0,
    minimumBetweenFailoversMs: 0,
    replication: 'async' as const,
    wordLastsMs: 0,
    witness: LEASE,
  };
  const record = { ...newRecord('secondary', 'run'), pairId: 'pair', opened: false, ...more };
  const view = atStart(record, settings, 0);
  const monitor = {
    ...{ view, record },
    refusalOf: () => null,
    order: async (order: { type: string; minutes?: number }) => {
      ordered.push(order.type);
      const maintenance = order.type === 'operator-maintenance' ? { ...UNDER_WAY, minutes: order.minutes ?? 0 } : null;
      Object.assign(monitor.view, { record: { ...record, maintenance } });
    },
  };
  const bus = { request: answer } as unknown as Bus;
  return { service: new MaintenanceService(monitor as unknown as HealthMonitorService, bus, NOW), ordered };
}

const refuses = async () => ({ accepted: false, reason: 'the pair is another' });
const isSilent = async () => Promise.reject(new BusError('deadline-exceeded', 'no answer'));
const isNotThere = async () => Promise.reject(new BusError('no-responder', 'nobody listens'));

it('a standby stays in maintenance when the active server may have taken it', async () => {
  const { service, ordered } = onStandby(isSilent);
  await expect(service.begin(60, 'disks')).rejects.toThrow('did not say whether it takes part (no answer)');
  expect(ordered).toEqual(['operator-maintenance']);
});

it.each([
  ['refuses', refuses],
  ['is not there', isNotThere],
])('a standby does not stay in maintenance when the active server %s', async (_, answer) => {
  const { service, ordered } = onStandby(answer);
  await expect(service.begin(60, 'disks')).rejects.toThrow('cannot be told');
  expect(ordered).toEqual(['operator-maintenance', 'operator-maintenance-end']);
});

it('what was under way before is not ended with a longer one that the active server refuses', async () => {
  const { service, ordered } = onStandby(refuses, { maintenance: UNDER_WAY });
  await expect(service.begin(90, 'disks')).rejects.toThrow('cannot be told');
  expect(ordered).toEqual(['operator-maintenance']);
});

it('what is under way is not made shorter', async () => {
  const { service, ordered } = onStandby(refuses, { maintenance: UNDER_WAY });
  await expect(service.begin(5, 'disks')).rejects.toThrow('is under way until 1970-01-01T01:00:01.000Z: end it');
  expect(ordered).toEqual([]);
});
