import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  CancelOperation,
  ConfigurationQuery,
  EventLogged,
  EventsQuery,
  type EventView,
  ForcedFailover,
  ForgetCertificate,
  LatestReadinessReport,
  OperationsQuery,
  PairStandingQuery,
  PinCertificate,
  ReadinessOperationsQuery,
  Register,
  RegistrationProveCommand,
  SetCertificateMode,
  StartReadinessChecks,
  StatusQuery,
  UnpinCertificate,
  VerifyAuthenticationKey,
} from '@understudy/contracts';
import { BusError, type Unsubscribe } from '@understudy/messaging';
import { ROUTES } from './domain/routes.ts';
import { STATUS } from './testing/everyday-status.ts';
import { CLI_TOKEN, GatewayStage, until } from './testing/gateway-stage.ts';

const API = '/api/v1';
const KEY = 'Correct-Horse-7-Battery';
const REGISTRATION = { secondaryAddress: '10.77.0.2', authenticationKey: KEY, failoverType: 'manual' };

let stage: GatewayStage;
const played: Unsubscribe[] = [];
const play: GatewayStage['bus']['handle'] = (definition, handler, options) => {
  const end = stage.bus.handle(definition, handler, options);
  played.push(end);
  return end;
};

beforeAll(async () => {
  stage = await GatewayStage.open();
}, 30_000);
afterAll(() => stage?.close());
beforeEach(() => {
  play(StatusQuery, () => STATUS);
});
afterEach(async () => {
  for (const end of played.splice(0)) end();
  await stage.bus.flush(1_000);
});

const ready = () => stage.bus.flush(1_000);

describe('status and errors', () => {
  it('answers the status as the health-monitor gives it', async () => {
    await ready();
    const { status, json } = await stage.ask('GET', `${API}/ha/status`);
    expect({ status, json }).toEqual({ status: 200, json: STATUS });
    expect((await stage.ask('GET', `${API}/processes`)).json).toEqual({ processes: STATUS.processes });
  });

  it('says 503 with a problem at once when nobody answers on the bus', async () => {
    for (const end of played.splice(0)) end();
    await ready();
    const { status, headers, json } = await stage.ask('GET', `${API}/ha/status`);
    expect(status).toBe(503);
    expect(headers['content-type']).toMatch('application/problem+json');
    expect(json).toMatchObject({ status: 503, title: 'Not available now' });
    expect((await stage.ask('GET', '/health', { token: null })).status).toBe(503);
  });

  it.each([
    ['GET', '/nothing', {}, 404],
    ['POST', `${API}/ha/status`, {}, 405],
    ['DELETE', `${API}/operations/x`, {}, 405],
    ['PUT', `${API}/ha/configuration`, { raw: '{"a":' }, 400],
    [
      'PUT',
      `${API}/ha/configuration`,
      { raw: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
    ],
    ['PUT', `${API}/ha/configuration`, { raw: JSON.stringify({ a: 'x'.repeat(70_000) }) }, 413],
    ['PUT', `${API}/ha/configuration`, { body: [] }, 422],
    ['PUT', `${API}/ha/configuration`, { body: null }, 422],
    ['POST', `${API}/ha/failover`, { body: { acceptDataLoss: 'yes' } }, 422],
    ['GET', `${API}/ha/events?limit=0`, {}, 422],
    ['GET', `${API}/alarms`, {}, 501],
    ['GET', `${API}/alarms/7/acknowledge`, {}, 501],
    ['POST', `${API}/ha/readiness-checks`, { body: { secondaryAddress: '10.77.0.2' } }, 422],
    ['GET', `${API}/ha/readiness-checks`, {}, 405],
    ['PATCH', `${API}/ha/maintenance`, { body: {} }, 405],
  ] as const)('%s %s is a problem %#', async (method, path, sent, expected) => {
    const { status, headers, json } = await stage.ask(method, path, sent);
    expect({ status, type: headers['content-type'] }).toEqual({
      status: expected,
      type: 'application/problem+json; charset=utf-8',
    });
    expect(json.status).toBe(expected);
    if (expected === 405) expect(headers.allow).toBeDefined();
  });

  it('names every wrong field by its pointer, unknown ones too', async () => {
    const body = {
      secondaryAddress: 7,
      failoverType: 'sometimes',
      emailAddresses: ['a@b.example', 'x'],
      virtualIP: {},
    };
    const { json } = await stage.ask('PUT', `${API}/ha/configuration`, { body });
    const pointers = json.errors.map(({ pointer }: { pointer: string }) => pointer).sort();
    expect(pointers).toEqual([
      '/authenticationKey',
      '/emailAddresses/1',
      '/failoverType',
      '/secondaryAddress',
      '/virtualIP',
    ]);
  });
});

describe('long work', () => {
  it('answers 202 with the operation, and its progress is a resource', async () => {
    const seen: unknown[] = [];
    play(Register, (data) => {
      seen.push(data);
      return { operationId: 'op-1' };
    });
    const operation = {
      id: 'op-1',
      kind: 'register',
      state: 'running' as const,
      step: 'copying',
      progressPercent: 40,
      startedAt: STATUS.since,
      finishedAt: null,
      error: null,
    };
    play(OperationsQuery, () => ({ operations: [operation] }));
    await ready();
    const { status, headers, json } = await stage.ask('PUT', `${API}/ha/configuration`, { body: REGISTRATION });
    expect({ status, json }).toEqual({ status: 202, json: { operationId: 'op-1', href: `${API}/operations/op-1` } });
    expect(headers.location).toBe(`${API}/operations/op-1`);
    expect(seen).toEqual([{ ...REGISTRATION, emailAddresses: [] }]);
    expect((await stage.ask('GET', json.href)).json).toEqual(operation);
    expect((await stage.ask('GET', `${API}/operations/op-2`)).status).toBe(404);
  });

  it('an order whose bus is replaced meanwhile is carried out once, and answered', async () => {
    const goOn = Promise.withResolvers<void>();
    let orders = 0;
    play(ForcedFailover, async () => {
      orders += 1;
      await goOn.promise;
      return { operationId: `op-${orders}` };
    });
    await ready();
    const answer = stage.ask('POST', `${API}/ha/forced-failover`);
    await until('the order is taken', () => orders === 1);
    await stage.replaceBus();
    await until('the bus is away', () => !stage.bus.connected);
    goOn.resolve();
    expect(await answer).toMatchObject({ status: 202, json: { operationId: 'op-1' } });
    expect(orders).toBe(1);
    await until('the bus is back', () => stage.bus.connected);
  });

  it.each([
    ['not-allowed', 409],
    ['operation-running', 409],
    ['not-found', 404],
    ['internal', 500],
  ])('a refusal with %s is a %i with the reason', async (code, expected) => {
    play(ForcedFailover, () => {
      throw new BusError(code, 'replication lag 48 MiB exceeds the limit of 16 MiB');
    });
    await ready();
    const { status, json } = await stage.ask('POST', `${API}/ha/forced-failover`);
    expect({ status, detail: json.detail, code: json.code }).toEqual({
      status: expected,
      detail: 'replication lag 48 MiB exceeds the limit of 16 MiB',
      code,
    });
  });

  it('starts readiness checks by their own service, which is asked for their progress', async () => {
    const check = {
      id: 'readiness-1',
      kind: 'readiness-checks',
      state: 'running' as const,
      step: 'measuring disk speed',
      progressPercent: 40,
      startedAt: STATUS.since,
      finishedAt: null,
      error: null,
    };
    const path = `${API}/ha/readiness-checks`;
    expect((await stage.ask('POST', path)).json.detail).toContain('readiness-checker of this server does not answer');
    play(StartReadinessChecks, () => ({ operationId: check.id }));
    play(ReadinessOperationsQuery, () => ({ operations: [check] }));
    play(OperationsQuery, () => ({ operations: [] }));
    play(LatestReadinessReport, () => {
      throw new BusError('not-found', 'none yet');
    });
    await ready();
    const { status, json } = await stage.ask('POST', path);
    expect(status).toBe(202);
    expect((await stage.ask('GET', json.href)).json).toEqual(check);
    expect((await stage.ask('GET', `${API}/operations`)).json).toEqual({ operations: [check] });
    expect((await stage.ask('POST', `${json.href}/cancel`)).status).toBe(409);
    expect((await stage.ask('GET', `${path}/latest`)).status).toBe(404);
  });

  it('lists, forgets and gives certificates by their hosts and fingerprints', async () => {
    const fingerprint = 'ab'.repeat(32);
    const asked: unknown[] = [];
    play(ForgetCertificate, ({ host }) => {
      asked.push(host);
      if (host === 'gamma') throw new BusError('not-found', 'No certificate is pinned for gamma.');
      return { host: '10.77.0.2_8082', fingerprint, next: 'It has to prove itself.' };
    });
    play(PinCertificate, ({ fingerprint: given }) => ({ fingerprint: given }));
    play(UnpinCertificate, ({ fingerprint: given }) => ({ fingerprint: given }));
    play(SetCertificateMode, ({ mode }) => ({ mode }));
    await ready();
    const path = `${API}/certificates`;
    const { json } = await stage.ask('GET', path);
    expect(json).toMatchObject({ mode: 'trust-on-first-use', given: [], certificates: [], renewal: null });
    expect(json.own.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect((await stage.ask('DELETE', `${path}/10.77.0.2_8082`)).json.next).toBe('It has to prove itself.');
    expect((await stage.ask('DELETE', path)).status).toBe(200);
    expect((await stage.ask('DELETE', `${path}/gamma`)).status).toBe(404);
    expect(asked).toEqual(['10.77.0.2_8082', null, 'gamma']);
    const shown = fingerprint.toUpperCase().replace(/(..)(?=.)/g, '$1:');
    expect((await stage.ask('POST', `${path}/pins`, { body: { fingerprint: shown } })).json).toEqual({ fingerprint });
    expect((await stage.ask('DELETE', `${path}/pins/${shown}`)).json).toEqual({ fingerprint });
    expect((await stage.ask('POST', `${path}/pins`, { body: { fingerprint: 'ab' } })).json.errors[0]).toMatchObject({
      pointer: '/fingerprint',
    });
    expect((await stage.ask('PUT', `${path}/mode`, { body: { mode: 'pinned' } })).json).toEqual({ mode: 'pinned' });
    expect((await stage.ask('PUT', `${path}/mode`, { body: { mode: 'open' } })).status).toBe(422);
  });

  it('cancels', async () => {
    play(CancelOperation, () => ({}));
    await ready();
    expect((await stage.ask('POST', `${API}/operations/op-1/cancel`)).status).toBe(202);
  });
});

describe('sign in', () => {
  beforeEach(() => {
    play(VerifyAuthenticationKey, ({ authenticationKey }) => ({ configured: true, valid: authenticationKey === KEY }));
    play(ConfigurationQuery, () => {
      throw new BusError('not-found', 'x');
    });
  });

  it('refuses who is nobody', async () => {
    const { status, headers } = await stage.ask('GET', `${API}/ha/status`, { token: null });
    expect({ status, challenge: headers['www-authenticate'] }).toEqual({
      status: 401,
      challenge: 'Bearer realm="understudy"',
    });
    expect((await stage.ask('GET', `${API}/ha/status`, { token: `${CLI_TOKEN}x` })).status).toBe(401);
  });

  it('gives a token and a cookie, keeps the session over a restart, and ends it', async () => {
    await ready();
    const { status, headers, json } = await stage.ask('POST', `${API}/auth/login`, {
      token: null,
      body: { authenticationKey: KEY },
    });
    expect(status).toBe(200);
    expect(json).toMatchObject({ scope: 'administrator' });
    const cookie = headers['set-cookie']?.[0] ?? '';
    expect(cookie).toMatch(/HttpOnly; Secure; SameSite=Strict/);
    await stage.stopGateway();
    await stage.startGateway();
    await ready();
    expect((await stage.ask('GET', `${API}/ha/status`, { token: json.token })).status).toBe(200);
    const withCookie = { token: null, headers: { cookie: cookie.split(';')[0] ?? '' } };
    expect((await stage.ask('GET', `${API}/ha/status`, withCookie)).status).toBe(200);
    const elsewhere = { ...withCookie, headers: { ...withCookie.headers, origin: 'https://elsewhere.example' } };
    expect((await stage.ask('POST', `${API}/auth/logout`, elsewhere)).status).toBe(403);
    expect((await stage.ask('POST', `${API}/auth/logout`, { token: json.token })).status).toBe(204);
    expect((await stage.ask('GET', `${API}/ha/status`, { token: json.token })).status).toBe(401);
  }, 15_000);

  it('lets each wrong key wait longer', async () => {
    await ready();
    const took: number[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const began = performance.now();
      const { status } = await stage.ask('POST', `${API}/auth/login`, {
        token: null,
        body: { authenticationKey: 'wrong' },
      });
      took.push(performance.now() - began);
      expect(status).toBe(401);
    }
    expect(took[1]).toBeGreaterThan(400);
    expect(took[2]).toBeGreaterThan(900);
  }, 15_000);
});

describe('events', () => {
  const event = (id: number): EventView => ({
    id,
    at: STATUS.since,
    server: 'alpha',
    severity: 'info',
    code: 'state-changed',
    message: `event ${id}`,
    state: null,
    previousState: null,
    rule: null,
    epoch: null,
  });

  it('continues a stream after the last event seen, and fills the gaps of the bus', async () => {
    let newest = 5;
    play(EventsQuery, ({ since, limit }) => {
      const ids = Array.from({ length: newest }, (_, index) => newest - index).filter((id) => id > (since ?? 0));
      return { events: ids.slice(0, limit).map(event) };
    });
    await ready();
    const stream = stage.stream({ 'last-event-id': '3' });
    await until('events 4 and 5', () => stream.text().includes('id: 5\n'));
    expect(stream.text()).not.toContain('id: 3\n');
    newest = 8;
    stage.bus.publish(EventLogged, event(8));
    await until('events 6 to 8', () => stream.text().includes('id: 8\n'));
    expect([...stream.text().matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual([4, 5, 6, 7, 8]);
    stream.close();
  });
});

describe('the table of routes', () => {
  it.each(Object.values(ROUTES).map(({ method, path }) => [method, path]))('%s %s is served', async (method, path) => {
    const { status } = await stage.ask(method, path.replace(':id', 'x'), { token: null });
    expect([404, 405, 500]).not.toContain(status);
  });
});

describe('what needs no login', () => {
  it.each([
    ['/health', 200],
    ['/active', 200],
    ['/standby', 503],
  ])('%s answers %i, by HEAD too', async (path, expected) => {
    await ready();
    expect((await stage.ask('GET', path, { token: null })).status).toBe(expected);
    const head = await stage.ask('HEAD', path, { token: null });
    expect({ status: head.status, text: head.text }).toEqual({ status: expected, text: '' });
  });

  it('tells the peer soon that its health-monitor does not decide, also when that still gives its status', async () => {
    play(PairStandingQuery, () => new Promise(() => undefined));
    await ready();
    const askedAtMs = performance.now();
    const { status, json } = await stage.ask('GET', '/health?pair=p', { token: null });
    expect(performance.now() - askedAtMs).toBeLessThan(4000);
    expect({ status, decides: json.decides }).toEqual({ status: 200, decides: false });
  });

  it('tells the peer how the pair stands', async () => {
    play(PairStandingQuery, ({ pairId }) => ({ dissolved: pairId === 'p', replaced: false }));
    await ready();
    const { json } = await stage.ask('GET', '/health?pair=p', { token: null });
    expect(json).toMatchObject({ ok: true, decides: true, dissolved: true, replaced: false });
  });

  it('has metrics, the description of REST, and a page', async () => {
    await ready();
    const metrics = await stage.ask('GET', '/metrics', { token: null });
    expect(metrics.text).toContain('understudy_process_running{name="NMS \\"Server\\""} 1');
    const { json } = await stage.ask('GET', '/api/openapi.json', { token: null });
    expect(json.openapi).toBe('3.1.0');
    expect(Object.keys(json.paths)).toContain('/api/v1/operations/{id}/cancel');
    expect((await stage.ask('GET', '/api/docs', { token: null })).text).toContain('swagger-ui-bundle.js');
    expect((await stage.ask('GET', '/api/docs/swagger-ui-bundle.js', { token: null })).status).toBe(200);
    expect((await stage.ask('GET', '/api/docs/package.json', { token: null })).status).toBe(404);
    expect((await stage.ask('GET', '/', { token: null })).text).toContain('name="authenticationKey"');
    expect((await stage.ask('GET', '/')).text).toContain('Primary Active');
    let started = 0;
    play(StartReadinessChecks, () => {
      started += 1;
      return { operationId: 'readiness-1' };
    });
    expect((await stage.ask('POST', '/check-readiness', { token: null })).status).toBe(303);
    expect(started).toBe(0);
    expect((await stage.ask('POST', '/check-readiness')).status).toBe(303);
    expect(started).toBe(1);
  });

  it('passes the registration on, with its refusals', async () => {
    play(RegistrationProveCommand, () => {
      throw new BusError('wrong-key', 'the authentication key is not the one of this server');
    });
    await ready();
    const { status, json } = await stage.ask('POST', `${API}/pair/prove`, {
      token: null,
      body: { nonce: 'n', proof: 'p' },
    });
    expect({ status, code: json.code }).toEqual({ status: 403, code: 'wrong-key' });
    const large = { token: null, body: { nonce: 'n'.repeat(20_000), proof: 'p' } };
    expect((await stage.ask('POST', `${API}/pair/prove`, large)).status).toBe(413);
  });
});
