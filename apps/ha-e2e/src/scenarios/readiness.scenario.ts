import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ReadinessCheck, ReadinessReport } from '@understudy/contracts';
import { namespacesAreAvailable } from '../real-pair/namespaces.ts';
import { RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';

const KEEPS_FILES = process.env.UNDERSTUDY_E2E_KEEP === '1';
const RUN = { withinMs: 35_000 };
const describeOnStage = namespacesAreAvailable() ? describe : describe.skip;

// Spec: "Check Readiness for HA Configuration", "Use the Health Monitor Web Page".
describeOnStage('readiness checks (needs root, ip and network namespaces)', () => {
  let pair: RealPair;

  /** Real machines of a kind: the secondary has another release of the operating system. */
  beforeAll(async () => {
    pair = new RealPair({ layout: 'composed', heartbeat: TEST_TIMES });
    pair.primary.boot();
    const other = join(pair.stage.n2.directory, 'etc', 'os-release');
    writeFileSync(other, readFileSync('/etc/os-release', 'utf8').replace(/^PRETTY_NAME=.*$/m, 'PRETTY_NAME="Other 1"'));
    pair.secondary.boot({ binds: { '/etc/os-release': other } });
    for (const server of pair.servers) await server.canBePaired({ withinMs: 90_000 });
  }, 180_000);
  afterAll(() => pair?.destroy({ keepFiles: KEEPS_FILES }));

  async function check(server: UnderstudyServer, body: unknown = {}) {
    await server.perform('/ha/readiness-checks', body, RUN);
    const { json } = await server.rest('GET', '/ha/readiness-checks/latest');
    const report = json as ReadinessReport;
    expect(report.durationMs).toBeLessThan(30_000);
    const line = (name: string) => report.checks.find((entry) => entry.name === name) as ReadinessCheck;
    return { report, line };
  }

  it('before registration, without an address, look at one server and say so of the other', async () => {
    const { report, line } = await check(pair.primary);
    const online = line('DATABASE - CHECK ONLINE STATUS');
    expect(online).toMatchObject({ status: 'not-checked', primary: 'read-write, answers', secondary: null });
    expect(online.reason).toContain('HA is not configured');
    expect(report.comparedWith).toBeNull();
  }, 60_000);

  it('look at both servers of a pair, and show what has changed since', async () => {
    await pair.primary.perform('/ha/configuration', pair.registration('manual'), { method: 'PUT', withinMs: 90_000 });
    await pair.inSync({ withinMs: 60_000 });
    const { report, line } = await check(pair.primary);
    expect(report.comparedWith).not.toBeNull();
    expect(line('DATABASE - CHECK ONLINE STATUS')).toMatchObject({
      status: 'passed',
      secondary: 'standby, answers',
      previous: { status: 'not-checked', secondary: null },
    });
    expect(line('DATABASE - SYNC STATUS').status).toBe('passed');
    expect(line('SYSTEM - HEALTH MONITOR STATUS').status).toBe('passed');
    expect(line('NETWORK - CHECK NETWORK INTERFACE BANDWIDTH').secondary).toMatch(/^eth0 /);
    expect(line('SYSTEM - CHECK OS COMPATIBILITY')).toMatchObject({
      status: 'failed',
      secondary: expect.stringContaining('Other 1'),
    });
    expect(Math.abs(Date.parse(String(line('SYSTEM - CLOCK DIFFERENCE').primary)) - Date.now())).toBeLessThan(60_000);
  }, 240_000);

  it('give the same picture from the secondary, and do not keep a forced failover waiting', async () => {
    const started = await pair.secondary.ask('POST', '/ha/readiness-checks', {});
    await pair.secondary.perform('/ha/forced-failover', {}, { withinMs: 60_000 });
    if (!started.accepted) throw new Error(started.detail);
    expect(await pair.secondary.ended(started.operationId, RUN)).toMatchObject({ state: 'succeeded' });
    await pair.inSyncSwapped({ withinMs: 60_000 });
    const { line } = await check(pair.secondary);
    expect(line('DATABASE - CHECK ONLINE STATUS')).toMatchObject({
      primary: 'standby, answers',
      secondary: 'read-write, answers',
    });
    expect(line('SYSTEM - CHECK OS COMPATIBILITY').secondary).toContain('Other 1');
  }, 240_000);

  it('end in time when the other server is dead, and pass nothing that needs it', async () => {
    pair.primary.die();
    const { report, line } = await check(pair.secondary);
    expect(report.checks.filter(({ status }) => status === 'passed')).toEqual([]);
    expect(line('DATABASE - SYNC STATUS').reason).toMatch(/^primary: not checked: alpha does not answer/);
  }, 90_000);
});
