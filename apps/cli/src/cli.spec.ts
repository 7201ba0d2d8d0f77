import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  ensureOwnIdentity,
  loadConfiguration,
  makeIdentity,
  NodePaths,
  type OwnIdentity,
  removeRenewal,
  writeRenewal,
} from '@understudy/platform';
import { quickPlace, serverPlace } from './client/server-place.ts';
import { runCli } from './program.ts';

/** A server that answers what it is told to, with a server's own certificate and token. */
const directory = mkdtempSync(join(tmpdir(), 'understudy-cli-'));
const file = join(directory, 'node.yaml');
const keyFile = join(directory, 'auth.key');
const paths = new NodePaths(directory);
const STATUS = {
  node: { name: 'beta', address: '127.0.0.1', homeRole: 'secondary', version: '0.1.0' },
  peer: { name: 'alpha', address: '10.77.0.1', state: 'Primary Active', reachable: true },
  state: 'Secondary Syncing',
  failoverType: 'manual',
  currentRole: 'standby',
  configurationMode: 'HA Enabled',
  unavailableActions: [],
};
let answers: Record<string, unknown[]> = {};
let asked: { what: string; body: unknown; token: string | undefined }[] = [];
let server: Server;
let own: OwnIdentity;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = '';
  for await (const chunk of request) text += chunk;
  const what = `${request.method} ${request.url?.replace('/api/v1', '')}`;
  asked.push({ what, body: text === '' ? undefined : JSON.parse(text), token: request.headers.authorization });
  const queue = answers[what] ?? [];
  const next = (queue.length > 1 ? queue.shift() : queue[0]) as { status?: number } | undefined;
  response.statusCode = next === undefined ? 404 : typeof next.status === 'number' ? next.status : 200;
  response.end(JSON.stringify(next ?? { detail: 'nothing there', code: 'not-found', status: 404 }));
}

beforeAll(async () => {
  mkdirSync(paths.run, { recursive: true });
  mkdirSync(paths.identity, { recursive: true });
  own = await ensureOwnIdentity(paths, { name: 'beta', address: '127.0.0.1' });
  server = createServer({ key: own.privateKeyPem, cert: own.certificatePem }, (request, response) => {
    void answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  writeFileSync(paths.cliToken, 'a-token-of-this-server\n');
  writeFileSync(keyFile, 'Correct-Horse-7-Battery\n');
  const node = {
    name: 'beta',
    role: 'secondary',
    address: '127.0.0.1',
    dataDirectory: directory,
    authenticationKeyFile: keyFile,
  };
  writeFileSync(file, JSON.stringify({ node, ports: { healthMonitor: port } }));
}, 30_000);
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});
afterEach(() => {
  answers = {};
  asked = [];
  jest.restoreAllMocks();
});

function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return runBare('--config', file, ...args);
}

async function runBare(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
  const code = await runCli(args);
  jest.restoreAllMocks();
  return { code, out, err };
}

const operation = (state: string, step: string, error: string | null = null) => ({
  id: 'op-1',
  kind: 'register',
  state,
  step,
  progressPercent: null,
  startedAt: '',
  finishedAt: null,
  error,
});

describe('ha status', () => {
  it('prints the line, and with --json the status as it came; the token of this server lets it in', async () => {
    answers = { 'GET /ha/status': [STATUS] };
    expect(await run('ha', 'status')).toEqual({
      code: 0,
      out: '[Role] Secondary [Primary Server] alpha(10.77.0.1) [State] Secondary Syncing [Failover Type] Manual\n',
      err: '',
    });
    expect(JSON.parse((await run('ha', 'status', '--json')).out)).toEqual(STATUS);
    expect(asked[0]?.token).toBe('Bearer a-token-of-this-server');
  });

  it('ends with 3 when nothing listens', async () => {
    const other = join(directory, 'other.yaml');
    writeFileSync(other, readFileSync(file, 'utf8').replace(/"healthMonitor":\d+/, '"healthMonitor":1'));
    const { code, err } = await run('ha', 'status', '--config', other);
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('nothing listens there') });
  });
});

describe('the certificate of the own server', () => {
  afterEach(() => server.setSecureContext({ key: own.privateKeyPem, cert: own.certificatePem }));
  const show = ({ certificatePem, privateKeyPem }: OwnIdentity) =>
    server.setSecureContext({ key: privateKeyPem, cert: certificatePem });

  it('is the only one that gets the token', async () => {
    answers = { 'GET /ha/status': [STATUS] };
    show(await makeIdentity({ name: 'beta', address: '127.0.0.1' }));
    const { code, out, err } = await run('status');
    const why = expect.stringContaining('the certificate is not the one');
    expect({ code, out, err }).toEqual({ code: 3, out: '', err: why });
    expect(asked).toEqual([]);
  });

  it('may be the one before or after while it is renewed, and may have expired', async () => {
    answers = { 'GET /ha/status': [STATUS] };
    const renewed = await makeIdentity({ name: 'beta', address: '127.0.0.1' }, -0.5);
    await writeRenewal(paths, { ...renewed, formerCertificatePem: own.certificatePem, isInUse: false });
    show(renewed);
    expect((await run('ha', 'status')).code).toBe(0);
    await removeRenewal(paths);
    expect((await run('ha', 'status')).code).toBe(3);
  });
});

describe('--url', () => {
  it('is refused by what works on the server itself, which would be another one', async () => {
    for (const words of [
      ['node', 'stop'],
      ['node', 'status'],
      ['config', 'check'],
    ]) {
      const { code, err } = await runBare(...words, '--url', 'https://10.77.0.2:8082');
      expect([words, code, err]).toEqual([words, 2, expect.stringContaining('not with --url')]);
    }
  });
});

describe('a server whose certificate is not trusted', () => {
  it('is not said to be down: somebody answers', async () => {
    const { port } = server.address() as AddressInfo;
    const url = `https://127.0.0.1:${port}`;
    const { code, out, err } = await runBare('--url', url, '--login-key-file', keyFile, 'status');
    expect({ code, out, err }).toEqual({ code: 3, out: '', err: expect.stringContaining('is not trusted') });
  });

  it('is not asked for again where one was named: it is another one', async () => {
    const { port } = server.address() as AddressInfo;
    const url = `https://127.0.0.1:${port}`;
    const { certificatePem } = await makeIdentity({ name: 'beta', address: '127.0.0.1' });
    const ca = join(directory, 'former.pem');
    writeFileSync(ca, certificatePem);
    const { code, err } = await runBare('--url', url, '--ca', ca, '--login-key-file', keyFile, 'status');
    expect({ code, err }).toEqual({
      code: 3,
      err: expect.stringContaining('the file of --ca does not hold its certificate'),
    });
  });
});

describe('the virtual IP', () => {
  it('is in the certificate of neither server: that is said, with what to do', async () => {
    const shared = createServer({ key: own.privateKeyPem, cert: own.certificatePem });
    await new Promise<void>((resolve) => shared.listen(0, '127.0.0.9', resolve));
    const url = `https://127.0.0.9:${(shared.address() as AddressInfo).port}`;
    const { code, err } = await runBare(
      ...['--url', url, '--ca', paths.certificate, '--login-key-file', keyFile, 'ha', 'status'],
    );
    shared.close();
    expect({ code, err }).toEqual({
      code: 3,
      err: `${url} is not reachable: its certificate is not for that address, as with a virtual IP; give the address of the server itself, or use --insecure\n`,
    });
  });
});

describe('an order', () => {
  it('that is not possible is refused with the reason, without asking for a confirmation', async () => {
    const unavailableActions = [{ action: 'failover', reason: 'the state is Secondary Syncing' }];
    answers = { 'GET /ha/status': [{ ...STATUS, unavailableActions }] };
    expect(await run('ha', 'failover')).toEqual({ code: 1, out: '', err: 'beta: the state is Secondary Syncing\n' });
    expect(asked.map(({ what }) => what)).toEqual(['GET /ha/status']);
  });
});

describe('the authentication key', () => {
  it('is changed to the one that is given, or that a file holds, and to no other', async () => {
    answers = { 'PUT /ha/authentication-key': [{ servers: ['alpha', 'beta'] }, { servers: ['alpha', 'beta'] }] };
    expect(await run('ha', 'authkey', 'Another-Horse-9')).toMatchObject({ code: 0 });
    expect(await run('ha', 'authkey', '--new-key-file', keyFile)).toMatchObject({ code: 0 });
    expect(asked.map(({ body }) => body)).toEqual([
      { newAuthenticationKey: 'Another-Horse-9' },
      { newAuthenticationKey: 'Correct-Horse-7-Battery' },
    ]);
    for (const words of [[], ['Another-Horse-9', '--new-key-file', keyFile]])
      expect(await run('ha', 'authkey', ...words)).toMatchObject({
        code: 2,
        err: expect.stringContaining('--new-key-file'),
      });
    const missing = await run('ha', 'authkey', '--new-key-file', '/nowhere');
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('--new-key-file') });
  });
});

describe('long work', () => {
  it('registers, waits, and says how it ended', async () => {
    answers = {
      'GET /ha/status': [STATUS],
      'PUT /ha/configuration': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [operation('running', 'copying'), operation('succeeded', 'done')],
    };
    const words = ['--secondary', '10.77.0.2', '--authentication-key-file', keyFile, '--failover-type', 'automatic'];
    const { code, out, err } = await run('ha', 'register', ...words, '--email', 'a@b.example, c@d.example');
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('[State] Secondary Syncing') });
    expect(err).toContain('register: copying');
    expect(asked.find(({ what }) => what === 'PUT /ha/configuration')?.body).toEqual({
      secondaryAddress: '10.77.0.2',
      authenticationKey: 'Correct-Horse-7-Battery',
      failoverType: 'automatic',
      emailAddresses: ['a@b.example', 'c@d.example'],
    });
  });

  it('says what a replaced primary costs before it is ordered, and sends the confirmation with the order', async () => {
    answers = {
      'GET /ha/status': [STATUS],
      'PUT /ha/configuration': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [operation('succeeded', 'done')],
    };
    const words = ['--secondary', '10.77.0.2', '--authentication-key-file', keyFile, '--replace-primary'];
    expect(await run('ha', 'register', ...words)).toMatchObject({
      code: 2,
      err: expect.stringContaining('replaced by that of the secondary at 10.77.0.2'),
    });
    expect(asked.some(({ what }) => what === 'PUT /ha/configuration')).toBe(false);
    expect(await run('ha', 'register', ...words, '--yes')).toMatchObject({ code: 0 });
    expect(asked.find(({ what }) => what === 'PUT /ha/configuration')?.body).toMatchObject({
      ...{ replacePrimary: true, confirmed: true },
    });
  });

  it('waits for a server that is still starting before it registers', async () => {
    const refused = { action: 'register', reason: 'the database is not running yet' };
    const starting = {
      ...STATUS,
      node: { ...STATUS.node, homeRole: 'primary' },
      currentRole: 'none',
      configurationMode: 'HA Not Configured',
      unavailableActions: [refused],
    };
    answers = {
      'GET /ha/status': [starting, starting, STATUS],
      'PUT /ha/configuration': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [operation('succeeded', 'done')],
    };
    const words = ['--secondary', '10.77.0.2', '--authentication-key-file', keyFile];
    expect(await run('ha', 'register', ...words)).toMatchObject({
      code: 0,
      err: expect.stringContaining('the database is not running yet'),
    });
  });

  it('ends with 1 and the reason when the work fails', async () => {
    answers = {
      'GET /ha/status': [STATUS],
      'POST /ha/forced-failover': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [operation('failed', 'promoting', 'the standby lacks 48 bytes')],
    };
    const { code, err } = await run('ha', 'force-failover', '--yes');
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('the standby lacks 48 bytes') });
  });

  it('ends with 1 and the failing condition when it is refused', async () => {
    answers = {
      'GET /ha/status': [STATUS],
      'POST /ha/failback': [{ status: 409, code: 'not-allowed', detail: 'this server is not active' }],
    };
    expect(await run('ha', 'failback', '--yes')).toMatchObject({ code: 1, err: 'beta: this server is not active\n' });
  });

  it('names its own options where the server names fields, and tells a refusal as JSON too', async () => {
    const detail = 'Invalid input: /minutes is above 1440, a day.';
    answers = { 'POST /ha/maintenance': [{ status: 422, code: 'invalid-input', detail }] };
    const said = 'Invalid input: --minutes is above 1440, a day.';
    const words = ['ha', 'maintenance', 'start', '--minutes', '2000', '--reason', 'disks'];
    expect(await run(...words)).toEqual({ code: 2, out: '', err: `${said}\n` });
    const { out } = await run(...words, '--json');
    expect(JSON.parse(out)).toEqual({ error: { code: 'invalid-input', message: said } });
    const path = '/etc/reason/peer.key';
    const ofFile = await run('ha', 'register', '--secondary', '10.77.0.2', '--authentication-key-file', path);
    expect(ofFile.err).toContain(`${path} cannot be read`);
    const ofThisCommand = await run('ha', 'check-readiness', '--secondary', '10.77.0.2', '--json');
    expect(JSON.parse(ofThisCommand.out)).toMatchObject({ error: { code: 'wrong-usage' } });
    const usage = await run('cert', 'mode', 'foo', '--json');
    expect([usage.code, JSON.parse(usage.out).error]).toMatchObject([2, { code: 'wrong-usage' }]);
    expect(JSON.parse(usage.out).error.message).toMatch(/^command-argument value 'foo' is invalid.* pinned\.$/);
    const wrong = { status: 422, code: 'invalid-input', detail: 'Invalid input: /fingerprint is not the SHA-256.' };
    answers = { 'POST /certificates/pins': [wrong] };
    expect((await run('cert', 'pin', 'abc')).err).toBe('Invalid input: the fingerprint is not the SHA-256.\n');
    answers = { 'DELETE /certificates/pins/ab%3Acd': [{ fingerprint: 'abcd' }] };
    expect((await run('cert', 'unpin', 'ab:cd')).out).toBe('The certificate abcd is no longer given beforehand.\n');
  });

  it('does not take a word that a script has lost for the peer, whatever it is called', async () => {
    answers = { 'DELETE /certificates/': [{ host: 'alpha' }], 'DELETE /certificates/pins/': [{ fingerprint: 'ab' }] };
    for (const command of ['forget', 'unpin'])
      expect(await run('cert', command, '')).toMatchObject({ code: 2, err: expect.stringContaining('it is empty') });
  });

  it('helps with a command of a command', async () => {
    expect((await run('help', 'ha', 'register')).out).toMatch(/^Usage: understudy ha register/);
    expect(await run('help', 'ha', 'regster')).toMatchObject({ code: 2, err: "error: unknown command 'ha regster'\n" });
  });

  it('says what is wrong with a key file, and how to mend it', async () => {
    answers = { 'GET /ha/status': [STATUS] };
    const register = (file: string) => run('ha', 'register', '--secondary', 'x', '--authentication-key-file', file);
    const short = join(directory, 'short.key');
    writeFileSync(short, 'abcde\n');
    expect((await register(short)).err).toContain('the key in it has 5 characters, that of a server at least 8');
    expect((await register('/nope')).err).toContain('there is no such file; check the path');
    const detail = 'Invalid input: /emailAddresses/0 is not an e-mail address: notmail.';
    answers = { ...answers, 'PUT /ha/configuration': [{ status: 422, code: 'invalid-input', detail }] };
    expect((await register(keyFile)).err).toBe('Invalid input: --email is not an e-mail address: notmail.\n');
  });

  it('asks for --yes where nobody can be asked', async () => {
    answers = { 'GET /ha/status': [STATUS] };
    expect(await run('ha', 'remove')).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    expect(asked.map(({ what }) => what)).toEqual(['GET /ha/status']);
  });

  it('does not wait with --no-wait', async () => {
    answers = { 'GET /ha/status': [STATUS], 'POST /ha/failover': [{ operationId: 'op-1' }] };
    expect(await run('ha', 'failover', '--yes', '--no-wait', '--accept-data-loss')).toMatchObject({
      code: 0,
      out: 'Started: operation op-1\n',
    });
    expect(asked.at(-1)?.body).toEqual({ acceptDataLoss: true });
  });

  it('activates alone with the name of the peer only: --yes is not enough', async () => {
    answers = { 'GET /ha/status': [STATUS], 'POST /ha/activate-alone': [{ operationId: 'op-1' }] };
    const unnamed = await run('ha', 'activate-alone', '--yes', '--no-wait');
    expect(unnamed).toMatchObject({ code: 2, err: expect.stringContaining('Confirm with --confirm alpha.') });
    expect(asked.map(({ what }) => what)).toEqual(['GET /ha/status']);
    await run('ha', 'activate-alone', '--confirm', 'alpha', '--no-wait');
    expect(asked.at(-1)?.body).toEqual({ confirm: 'alpha', acceptDataLoss: false });
  });

  it('says what a removal can lead to when the peer cannot be told, and wants its name', async () => {
    const serving = {
      ...STATUS,
      node: { ...STATUS.node, name: 'alpha', homeRole: 'primary' },
      peer: { ...STATUS.peer, name: 'beta', reachable: false },
      failoverType: 'automatic',
      currentRole: 'active',
    };
    answers = { 'GET /ha/status': [serving], 'DELETE /ha/configuration': [{ operationId: 'op-1' }] };
    const { code, err } = await run('ha', 'remove', '--yes', '--no-wait');
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/take over by itself.*both servers serve.*First stop beta.*or remove HA there/),
    });
    expect(err).toContain('Confirm with --confirm beta.');
    expect(asked.map(({ what }) => what)).toEqual(['GET /ha/status']);
    await run('ha', 'remove', '--confirm', 'beta', '--no-wait');
    expect(asked.at(-1)?.body).toEqual({ confirm: 'beta', acceptDataLoss: false });

    const reachable = { ...serving, peer: { ...serving.peer, reachable: true } };
    answers = { ...answers, 'GET /ha/status': [reachable] };
    await run('ha', 'remove', '--yes', '--no-wait');
    expect(asked.at(-1)?.body).toEqual({ acceptDataLoss: false });
  });
});

describe('files', () => {
  const set = {
    name: 'settings',
    class: 'realtime',
    direction: 'fetches',
    files: 12,
    bytes: 2048,
    lastCompleteAt: '2026-01-02T03:04:05.000Z',
    pendingFiles: 0,
    pendingBytes: 0,
    reason: '',
    errors: [{ path: 'a', message: 'the disk is full' }],
    errorCount: 2,
    awaitingDeletion: null,
    peer: null,
  };

  it('status has a line for each set, and what needs attention below it', async () => {
    answers = { 'GET /files': [{ fileSets: [set] }] };
    expect(await run('files', 'status')).toEqual({
      code: 0,
      out: 'settings (realtime): fetches from the peer; 12 files (2.0 KiB), complete at 2026-01-02T03:04:05.000Z\n  a: the disk is full\n  and 1 more\n',
      err: '',
    });
    answers = { 'GET /files': [{ fileSets: [] }] };
    expect((await run('files', 'status')).out).toBe('No file sets are configured on this server.\n');
  });

  it('diff has a line for each path that differs', async () => {
    const since = '2026-01-02T03:04:05.000Z';
    const differences = [
      { path: 'a', what: 'content', since },
      { path: 'b', what: 'extra-here', since: null },
    ];
    answers = { 'GET /files/settings/differences': [{ direction: 'fetches', asOf: since, count: 3, differences }] };
    expect(await run('files', 'diff', 'settings')).toEqual({
      code: 0,
      out: `settings: 3 paths differ (the last look, ${since})\n  a: other content, since ${since}\n  b: only here\n  and 1 more\n`,
      err: '',
    });
    answers = {
      'GET /files/settings/differences': [{ direction: 'sends', asOf: null, count: 0, differences: [] }],
    };
    expect((await run('files', 'diff', 'settings')).out).toBe(
      'settings: nothing differs (this server has not compared it with its peer yet)\n',
    );
  });

  it('confirm-deletion says what it costs before it does it', async () => {
    answers = {
      'GET /files': [{ fileSets: [{ ...set, awaitingDeletion: { deletions: 30, files: 40 } }] }],
      'POST /files/settings/confirm-deletion': [{ deletions: 30 }],
    };
    const { code, err } = await run('files', 'confirm-deletion', 'settings');
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('30 of 40 files of settings have gone on one of the servers'),
    ]);
    expect(asked.map(({ what }) => what)).toEqual(['GET /files']);
    const done = await run('files', 'confirm-deletion', 'settings', '--yes');
    expect(done).toMatchObject({ code: 0, out: 'settings: the deletion of 30 files is confirmed.\n' });
  });
});

it('failover type and virtual IP are changed, and the running operation cancelled, by a command', async () => {
  const operation = { id: 'op-7', kind: 'failback', step: 's', progressPercent: null };
  answers = {
    'PATCH /ha/configuration': [{ failoverType: 'observe' }],
    'GET /ha/status': [
      { ...STATUS, operation },
      { ...STATUS, operation: null },
    ],
    'POST /operations/op-7/cancel': [{}],
  };
  expect((await run('ha', 'failover-type', 'observe')).out).toContain('observe');
  expect(asked.at(-1)?.body).toEqual({ failoverType: 'observe' });
  expect((await run('ha', 'failover-type', 'sometimes')).code).toBe(2);
  expect((await run('ha', 'virtual-ip', '--virtual-ip', '10.77.0.31')).out).toContain('is 10.77.0.31 now');
  expect(asked.at(-1)?.body).toEqual({ virtualIp: { ipv4: '10.77.0.31' } });
  expect((await run('ha', 'virtual-ip', '--none')).out).toContain('no virtual IP any more');
  expect(asked.at(-1)?.body).toEqual({ virtualIp: null });
  for (const words of [[], ['--none', '--virtual-ip6', 'fd77::31']])
    expect((await run('ha', 'virtual-ip', ...words)).code).toBe(2);
  expect((await run('ha', 'cancel', '--yes')).out).toContain('failback');
  expect((await run('ha', 'cancel')).code).toBe(1);
});

it('a refusal names the option of the command line', async () => {
  answers = {
    'GET /ha/status': [STATUS],
    'POST /ha/failover': [{ status: 409, detail: '16 bytes are missing; repeat with acceptDataLoss to go on' }],
  };
  const { code, err } = await run('ha', 'failover', '--yes');
  expect([code, err]).toEqual([1, expect.stringContaining('repeat with --accept-data-loss to go on')]);
});

describe('ha check-readiness', () => {
  const check = { name: 'SYSTEM - TIME ZONE', group: 'SYSTEM', lists: ['further'], primary: 'UTC' };
  const report = {
    operationId: 'op-1',
    startedAt: '2026-11-29T12:00:00.000Z',
    durationMs: 4321,
    overall: 'warning',
    comparedWith: '2026-11-28T12:00:00.000Z',
    checks: [
      {
        ...check,
        status: 'warning',
        reason: 'the primary is in UTC, the secondary in Asia/Tokyo',
        impact: 'another time of day',
        recommendation: 'Set the same.',
        secondary: 'Asia/Tokyo',
        previous: { status: 'passed', primary: 'UTC', secondary: 'UTC' },
      },
    ],
  };

  it('runs the checks, and prints each with both values, what to do, and what has changed; a finding is no failure', async () => {
    answers = {
      'POST /ha/readiness-checks': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [operation('running', 'measuring'), operation('succeeded', 'ended')],
      'GET /ha/readiness-checks/latest': [report],
    };
    const { code, out } = await run('ha', 'check-readiness');
    expect({ code, lines: out.trimEnd().split('\n') }).toEqual({
      code: 0,
      lines: [
        'Warning      SYSTEM - TIME ZONE',
        '             primary: UTC; secondary: Asia/Tokyo',
        '             the primary is in UTC, the secondary in Asia/Tokyo',
        '             impact: another time of day',
        '             recommendation: Set the same.',
        '             was: Passed',
        '[Readiness] Warning: 1 warning (4.3 s, compared with the run of 2026-11-28T12:00:00.000Z)',
      ],
    });
    expect(JSON.parse((await run('--json', 'ha', 'check-readiness')).out)).toEqual(report);
  });

  it('opens ports only when it is told to, and says what it added and how to take it away', async () => {
    const added = [{ rule: 'nft insert rule inet filter input …', undo: 'nft delete rule inet filter input handle 7' }];
    const firewall = [
      { server: 'secondary', added, problem: null },
      { server: 'primary', added: [], problem: 'nft: Operation not permitted' },
    ];
    answers = {
      'POST /ha/readiness-checks': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [operation('succeeded', 'ended')],
      'GET /ha/readiness-checks/latest': [{ ...report, firewall }],
    };
    const { code, out } = await run('ha', 'check-readiness', '--fix');
    expect([code, asked[0]?.body]).toEqual([0, { fix: true }]);
    expect(out).toContain(
      [
        '[Firewall] Added on the secondary: nft insert rule inet filter input …',
        '           take it away with: nft delete rule inet filter input handle 7',
        '[Firewall] Not opened on the primary: nft: Operation not permitted',
        '[Firewall] The rules last until',
      ].join('\n'),
    );
    answers['GET /ha/readiness-checks/latest'] = [{ ...report, firewall: [] }];
    answers['GET /operations/op-1'] = [operation('succeeded', 'ended')];
    expect((await run('ha', 'check-readiness', '--fix')).out).toContain('nothing was added');
  });

  it('sends address and key before registration, and wants both', async () => {
    answers = {
      'POST /ha/readiness-checks': [{ operationId: 'op-1' }],
      'GET /operations/op-1': [
        { ...operation('failed', 'ended'), error: 'the authentication key is not the one of beta' },
      ],
    };
    const both = ['--secondary', '10.77.0.2', '--authentication-key-file', keyFile];
    const { code, err } = await run('ha', 'check-readiness', ...both);
    expect([code, err]).toEqual([1, expect.stringContaining('the authentication key is not the one of beta')]);
    const body = { secondaryAddress: '10.77.0.2', authenticationKey: 'Correct-Horse-7-Battery' };
    expect(asked[0]).toMatchObject({ what: 'POST /ha/readiness-checks', body });
    expect((await run('ha', 'check-readiness', '--secondary', '10.77.0.2')).code).toBe(2);
  });
});

describe('usage', () => {
  it.each([
    [['bogus'], 2],
    [['ha', 'register'], 2],
    [['ha', '?'], 0],
    [['--help'], 0],
    [['cert', 'forget', '10.77.0.1_8082'], 1],
    [['config', 'check'], 0],
    [['config', 'check', '--config', '/nowhere/node.yaml'], 2],
  ])('%j ends with %i', async (args, expected) => {
    expect((await run(...args)).code).toBe(expected);
  });
});

describe('where the server is', () => {
  it('comes out the same on the quick and on the whole way', async () => {
    const loaded = loadConfiguration(file, {});
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { configuration } = loaded;
    const whole = {
      name: 'beta',
      address: '127.0.0.1',
      port: configuration.ports.healthMonitor,
      certificateFile: paths.certificate,
      renewalFile: paths.renewal,
      tokenFile: paths.cliToken,
    };
    expect(await quickPlace(file, {})).toEqual(whole);
    const environment = { UNDERSTUDY_PORTS__HEALTH_MONITOR: '4711' };
    expect(await quickPlace(file, environment)).toBeNull();
    expect(await serverPlace(file, environment)).toEqual({ ...whole, port: 4711 });
  });

  it('has the same defaults on both ways', async () => {
    const sparse = join(directory, 'sparse.yaml');
    writeFileSync(sparse, 'node: { name: alpha, role: primary, address: 10.77.0.1 }\n');
    const loaded = loadConfiguration(sparse, {});
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { node, ports } = loaded.configuration;
    const place = await quickPlace(sparse, {});
    expect(place).toMatchObject({ port: ports.healthMonitor, tokenFile: new NodePaths(node.dataDirectory).cliToken });
  });
});
