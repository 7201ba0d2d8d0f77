import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { FileSetsTold, FileSyncIncident, FileSyncObserved, OwnStatusChanged } from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { Engine } from '../ports/engine.port.ts';
import { fileSetState } from '../testing/file-set-state.ts';
import { FileSyncService } from './file-sync.service.ts';

const SET = fileSetState();
/** A message of the bus holds no more. */
const MESSAGE_BYTES = 1024 * 1024;

let published: { readonly event: unknown; readonly data: unknown }[];
let handlers: Map<unknown, (data: never) => void>;
let service: FileSyncService;
/** What the health monitor answers. */
let status: Promise<unknown>;

function begin(engine: Partial<Engine> | null): void {
  published = [];
  handlers = new Map();
  const bus = {
    publish: (event: unknown, data: unknown) => published.push({ event, data }) > 0,
    subscribe: (event: unknown, handler: (data: never) => void) => handlers.set(event, handler),
    request: () => status,
  };
  service = new FileSyncService(bus as unknown as Bus, engine as Engine | null);
  service.start();
}

beforeEach(() => {
  jest.useFakeTimers();
  status = new Promise(() => undefined);
});

afterEach(() => {
  service.stop();
  jest.useRealTimers();
});

const heard = (told: FileSetsTold) => handlers.get(FileSetsTold)?.(told as never);
const largest = () => Math.max(...published.map(({ data }) => Buffer.byteLength(JSON.stringify(data))));

describe('the direction', () => {
  it('is asked for once more when the status has changed while an answer was on its way', async () => {
    let answer: (status: unknown) => void = () => undefined;
    status = new Promise((resolve) => {
      answer = resolve;
    });
    const ways: string[] = [];
    begin({ setDirection: ({ way }) => void ways.push(way) });
    status = Promise.resolve({ currentRole: 'active', epoch: 2 });
    handlers.get(OwnStatusChanged)?.({} as never);
    answer({ currentRole: 'standby', epoch: 1 });
    await jest.advanceTimersByTimeAsync(1);
    expect(ways).toEqual(['fetches', 'sends']);
  });
});

describe('what is told to the other server', () => {
  const told = () => published.filter(({ event }) => event === FileSetsTold).map(({ data }) => data);

  it('is nothing before the sets are known: the other one would say that they are not configured', () => {
    begin({});
    jest.advanceTimersByTime(3000);
    expect(told()).toEqual([]);
    expect(() => service.view).toThrow('not known yet');
    service.observed({ fileSets: [SET] });
    jest.advanceTimersByTime(1000);
    expect(told()).toMatchObject([{ fileSets: [{ name: 'settings' }] }]);
  });

  it('is that there is no set where none is configured', () => {
    begin(null);
    jest.advanceTimersByTime(1000);
    expect(told()).toEqual([{ fileSets: [] }]);
  });
});

describe('what is published', () => {
  const long = { path: '\\u0001'.repeat(4095), message: 'permission denied' };

  it('fits into a message, whatever the names of the files that have failed', () => {
    begin({});
    const sets = Array.from({ length: 40 }, (_, index) => ({
      ...SET,
      name: `s${index}`,
      errors: Array.from({ length: 100 }, () => long),
      errorCount: 100,
    }));
    service.observed({ fileSets: sets });
    jest.advanceTimersByTime(1000);
    expect(published).toHaveLength(2);
    expect(largest()).toBeLessThan(MESSAGE_BYTES);
    expect(service.view.fileSets.map(({ errorCount }) => errorCount)).toEqual(sets.map(() => 100));
  });

  it('fits into a message, whatever the other server tells', () => {
    begin({});
    const errors = Array.from({ length: 5000 }, (_, index) => ({ path: `f${index}`, message: 'm'.repeat(100) }));
    heard({ fileSets: [{ ...SET, reason: 'r'.repeat(400_000), errors, errorCount: 5000 }] });
    service.observed({ fileSets: [SET] });
    expect(published.map(({ event }) => event)).toEqual([FileSyncObserved]);
    expect(largest()).toBeLessThan(MESSAGE_BYTES / 2);
    expect(service.view.fileSets[0]?.peer?.errorCount).toBe(5000);
  });
});

describe('a set that the other server does not have', () => {
  const incidents = () => published.filter(({ event }) => event === FileSyncIncident).map(({ data }) => data);
  const SAME: FileSetsTold = { fileSets: [SET] };
  const NONE: FileSetsTold = { fileSets: [] };

  beforeEach(async () => {
    status = Promise.resolve({ currentRole: 'active', epoch: 1 });
    begin({ setDirection: () => undefined });
    await jest.advanceTimersByTimeAsync(1000);
  });

  it('is told of once by the active server, and again when it has been there meanwhile', () => {
    heard(NONE);
    service.observed({ fileSets: [SET] });
    for (const told of [SAME, NONE, NONE]) heard(told);
    expect(incidents()).toMatchObject([{ severity: 'warning', code: 'file-set-unknown' }]);
    for (const told of [SAME, NONE]) heard(told);
    expect(incidents()).toHaveLength(2);
  });

  it('is not waited for when the role is handed over, as long as the other server says so', async () => {
    const asked: unknown[] = [];
    const handOver = async (_epoch: number, _limitMs: number, without: readonly string[]) => {
      asked.push(without);
      return [];
    };
    service.stop();
    begin({ setDirection: () => undefined, handOver });
    service.observed({ fileSets: [SET, { ...SET, name: 'licenses' }] });
    await service.handOver(1, 5000);
    heard(SAME);
    await service.handOver(1, 5000);
    jest.advanceTimersByTime(11_000);
    await service.handOver(1, 5000);
    expect(asked).toEqual([[], ['licenses'], []]);
  });

  it('is not told of by the standby: its run is refused', () => {
    service.observed({ fileSets: [{ ...SET, direction: 'fetches' }] });
    heard(NONE);
    expect(incidents()).toEqual([]);
  });
});
