import { describe, expect, it } from '@jest/globals';
import type { StatusView } from '@understudy/contracts';
import { prometheusText } from '@understudy/telemetry';
import { STATUS } from '../testing/everyday-status.ts';
import { FailedAttempts } from './attempts.ts';
import { ChangeConfigurationInput, RegisterInput } from './inputs.ts';
import { metricsOf } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { loginPage, statusPage } from './page.ts';
import { answerProbe } from './probes.ts';
import { parseInput } from './problem.ts';
import { RateLimit } from './rate-limit.ts';
import { methodsAt, type Route } from './route.ts';
import { ROUTES, ROUTES_TO_COME } from './routes.ts';

describe('an input', () => {
  it('that is not valid is told field by field, with what would be', () => {
    const told = (input: unknown) => {
      try {
        parseInput(RegisterInput, input);
      } catch (error) {
        return (error as Error).message;
      }
    };
    const types = 'expected one of "manual"|"automatic"|"observe"';
    expect(told({ authenticationKey: 7 })).toBe(
      `Invalid input: /secondaryAddress is required; /authenticationKey is not valid: expected string, received number; /failoverType is required: ${types}.`,
    );
    expect(told({ secondaryAddress: 'a', authenticationKey: 'k', failoverType: 'auto' })).toBe(
      `Invalid input: /failoverType is not valid: ${types}.`,
    );
    const where = 'is neither an IP address nor a host name, with or without a port (10.77.0.2:8082, [fd77::2]:8082)';
    expect(told({ secondaryAddress: 'a b', authenticationKey: 'k', failoverType: 'manual' })).toBe(
      `Invalid input: /secondaryAddress ${where}.`,
    );
  });

  it('does not take the virtual IP away by an object without an address', () => {
    expect(() => parseInput(ChangeConfigurationInput, { virtualIp: {} })).toThrow('/virtualIp names no address');
    expect(parseInput(ChangeConfigurationInput, { virtualIp: null })).toEqual({ virtualIp: null });
  });
});

describe('failed attempts', () => {
  it('wait twice as long each time, up to the bound, and are forgotten', () => {
    const attempts = new FailedAttempts(4_000);
    const waits = [0, 1, 2, 3, 4, 5].map(() => {
      const wait = attempts.waitMs('a', 0);
      attempts.failed('a', 0);
      return wait;
    });
    expect(waits).toEqual([0, 500, 1_000, 2_000, 4_000, 4_000]);
    expect(attempts.waitMs('b', 0)).toBe(0);
    expect(attempts.waitMs('a', 3_000)).toBe(1_000);
    expect(attempts.waitMs('a', 16 * 60_000)).toBe(0);
    attempts.failed('a', 0);
    attempts.succeeded('a');
    expect(attempts.waitMs('a', 0)).toBe(0);
  });
});

describe('the rate limit', () => {
  it('lets a burst through and then what is refilled, per source', () => {
    const limit = new RateLimit(2, 1);
    expect([0, 0, 0].map((at) => limit.take('a', at))).toEqual([true, true, false]);
    expect(limit.take('b', 0)).toBe(true);
    expect([1_000, 1_000].map((at) => limit.take('a', at))).toEqual([true, false]);
  });
});

describe('probes', () => {
  const standby: StatusView = { ...STATUS, currentRole: 'standby', database: { ...STATUS.database, usable: false } };
  /** A secondary before its registration has no database to run. */
  const waiting: StatusView = {
    ...standby,
    currentRole: 'none',
    configurationMode: 'HA Not Configured',
    database: { ...STATUS.database, running: false, usable: false },
  };
  it.each([
    ['health', STATUS, true],
    ['active', STATUS, true],
    ['standby', STATUS, false],
    ['health', { ...STATUS, database: { ...STATUS.database, usable: false } }, false],
    ['health', { ...STATUS, processes: STATUS.processes.map((p) => ({ ...p, state: 'failed' as const })) }, false],
    ['health', standby, false],
    ['health', { ...standby, database: { ...STATUS.database, usable: true } }, true],
    ['health', waiting, true],
    ['standby', standby, true],
    ['active', { ...STATUS, currentRole: 'none' as const }, false],
    ['health', { ...STATUS, record: { lost: null, silentSeconds: 11 } }, false],
    ['health', null, false],
  ] as const)('%s %#', (probe, status, expected) => {
    expect(answerProbe(probe, status as StatusView | null).ok).toBe(expected);
  });
});

describe('pages', () => {
  it('show what came from elsewhere as text, never as markup', () => {
    const line = { group: 'SYSTEM' as const, reason: '<u>', impact: '<u>', recommendation: '<u>', previous: null };
    const disk = { ...line, name: '<u>', lists: ['failover' as const], primary: '90 <u>', secondary: null };
    const zone = { ...disk, name: 'TIME ZONE', lists: ['further' as const], status: 'passed' as const };
    const readiness = {
      operationId: 'r',
      startedAt: '2026-11-29T16:20:11.502Z',
      durationMs: 1,
      overall: 'failed' as const,
      comparedWith: null,
      checks: [{ ...disk, status: 'failed' as const }, zone],
    };
    const status = { ...STATUS, stateReason: '<script>' };
    const html = statusPage({ serverName: '<b>', status, events: [], readiness });
    for (const markup of ['<script>', '<b>', '<u>']) expect(html).not.toContain(markup);
    expect(html).toContain('90 &#60;u&#62;');
    // the three before a failover; and nothing of it where there is no pair
    expect(html).not.toContain('TIME ZONE');
    expect(statusPage({ serverName: 'a', status, events: [], readiness: null })).toContain('Not checked yet.');
    const alone = { ...status, peer: null };
    expect(statusPage({ serverName: 'a', status: alone, events: [], readiness })).not.toContain('Failover readiness');
    expect(loginPage('alpha', '<i>')).not.toContain('<i>');
  });
});

describe('metrics', () => {
  it('have one sample per line, and say so when nothing is known', () => {
    const lines = prometheusText(metricsOf(STATUS, '0.1.0')).trimEnd().split('\n');
    for (const line of lines)
      expect(line).toMatch(/^(# (HELP|TYPE) .+|understudy_\w+(\{.*\})? -?\d+(\.\d+)?(e[+-]?\d+)?)$/);
    expect(prometheusText(metricsOf(null, '0.1.0'))).toContain('understudy_up 0\n');
    expect(lines).toContain('understudy_state{state="primary-active"} 1');
    expect(lines).toContain('understudy_state{state="primary-uncertain"} 0');
  });
});

describe('routes', () => {
  it('are found by path, parameters and rest included', () => {
    const all = [...Object.values(ROUTES), ...ROUTES_TO_COME];
    expect(methodsAt(all, '/api/v1/ha/configuration')).toEqual(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']);
    expect(methodsAt(all, '/api/v1/operations/7/cancel')).toEqual(['POST']);
    expect(methodsAt(all, '/tmf-api/alarmManagement/v4/alarm/7')).toContain('PATCH');
    expect(methodsAt(all, '/api/v1/operations/')).toEqual([]);
  });

  it('are all described, with every reference resolved', () => {
    const routes: readonly Route[] = Object.values(ROUTES);
    const document = openApiDocument(routes, { version: '0.1.0', server: 'https://10.77.0.1:8082' });
    const { paths, components } = document as {
      paths: Record<string, Record<string, unknown>>;
      components: { schemas: Record<string, unknown> };
    };
    for (const { method, path } of routes) {
      expect(paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]).toBeDefined();
    }
    for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
      expect(components.schemas[name as string]).toBeDefined();
    }
  });
});
