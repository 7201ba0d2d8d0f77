import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer, type Server } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Beat,
  OwnStatusQuery,
  PeerAnsweredProbe,
  PeerConfirmedLost,
  PeerDissolvedPair,
  PeerHeard,
  PeerIdentitySchema,
  PeerLost,
  type ServerStatus,
  StatusChangedHint,
} from '@understudy/contracts';
import { Bus, type RunningService } from '@understudy/messaging';
import {
  ensureOwnIdentity,
  freePorts,
  loadConfiguration,
  makeServiceEnvironment,
  NodePaths,
  PeerIdentityFile,
  readBusCredentials,
  readOwnIdentity,
  SILENT_LOGGER,
} from '@understudy/platform';
import { startHeartbeat } from './start-heartbeat.ts';

const INTERVAL_MS = 200;
/** Lost after three intervals, the URL is opened after the grace time. */
const GRACE_MS = 300;
/** So long a busy machine may hold everything up. */
const STANDSTILL_MS = 2000;
/** An answer may take 300 ms. */
const LATE_MS = 450;
const PAIR = 'pair-1';
const STATUS: ServerStatus = {
  pairId: PAIR,
  name: 'two',
  role: 'secondary',
  state: 'secondary-syncing',
  runId: 'run',
  failoverType: 'automatic',
  epoch: 1,
  hold: 0,
  lineage: 1,
  serving: false,
  complete: true,
  finalLsn: null,
  lsn: null,
  timeline: null,
  streaming: true,
  databaseUsable: true,
  processesOk: true,
  operation: null,
  version: '0.1.0',
};

interface Fact {
  readonly name: 'heard' | 'lost' | 'confirmed' | 'answered-probe';
  readonly atMs: number;
  readonly silentMs: number;
}

let directory: string;
let paths: NodePaths;
let nats: ChildProcess;
let monitor: Bus;
let peer: Bus;
let heartbeat: RunningService;
let page: Server | null;
let pagePort: number;
let facts: Fact[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'heartbeat-'));
  paths = new NodePaths(join(directory, 'one'));
  for (const each of [paths.run, paths.identity]) mkdirSync(each, { recursive: true });
  const [busPort = 0, ofPage = 0] = await freePorts(2);
  pagePort = ofPage;
  page = null;
  facts = [];
  writeFileSync(
    join(directory, 'nats.conf'),
    `listen: 127.0.0.1:${busPort}\nauthorization { user: app, password: secret }\n`,
  );
  writeFileSync(
    paths.busCredentials,
    JSON.stringify({ url: `nats://127.0.0.1:${busPort}`, user: 'app', password: 'secret' }),
  );
  nats = await startNats(busPort);
  monitor = await connectAs('health-monitor', 'primary');
  peer = await connectAs('peer', 'secondary');
  // The fake health-monitor of this server.
  monitor.handle(OwnStatusQuery, () => ({ ...STATUS, name: 'one', role: 'primary' as const }));
  const note = (name: Fact['name']) => (data: object) => {
    facts.push({ name, atMs: performance.now(), silentMs: 'silentMs' in data ? Number(data.silentMs) : 0 });
  };
  monitor.subscribe(PeerHeard, note('heard'));
  monitor.subscribe(PeerLost, note('lost'));
  monitor.subscribe(PeerConfirmedLost, note('confirmed'));
  monitor.subscribe(PeerAnsweredProbe, note('answered-probe'));
  await pin();
  heartbeat = await startHeartbeat(environment());
}, 30_000);

afterEach(async () => {
  await heartbeat.close({ reason: 'service-restart' });
  await Promise.all([monitor.close(), peer.close()]);
  page?.closeAllConnections();
  page?.close();
  nats.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

describe('heartbeat', () => {
  it('reports each timely answer, without having been told whom to watch', async () => {
    peer.handle(Beat, ({ nonce }) => ({ nonce, status: STATUS }));
    await until(() => named('heard').length >= 4);
    expect(facts.map(({ name }) => name)).not.toContain('lost');
  }, 15_000);

  it('takes silence for a loss after three intervals, and confirms it when the URL does not answer either', async () => {
    const stop = peer.handle(Beat, ({ nonce }) => ({ nonce, status: STATUS }));
    await until(() => named('heard').length >= 2);
    stop();
    await until(() => named('confirmed').length >= 2);
    const [lost] = named('lost');
    const [confirmed] = named('confirmed');
    expect(lost?.silentMs).toBeGreaterThanOrEqual(3 * INTERVAL_MS);
    expect(lost?.silentMs).toBeLessThan(4 * INTERVAL_MS + STANDSTILL_MS);
    expect(confirmed?.silentMs).toBeGreaterThanOrEqual(3 * INTERVAL_MS + GRACE_MS);
    expect(confirmed?.silentMs).toBeLessThan(5 * INTERVAL_MS + GRACE_MS + STANDSTILL_MS);
  }, 15_000);

  it('says that the URL answers when only the beat is gone', async () => {
    await servePage('two');
    await until(() => named('answered-probe').length >= 2);
    expect(named('confirmed')).toEqual([]);
  }, 15_000);

  it('takes a URL whose manager does not decide for an answer, since the application may run there', async () => {
    await servePage('two', { decides: false });
    await until(() => named('answered-probe').length >= 2);
    expect(named('confirmed')).toEqual([]);
  }, 15_000);

  it('takes it for no answer where a server without a manager is closed by its lease', async () => {
    await heartbeat.close({ reason: 'service-restart' });
    heartbeat = await startHeartbeat(environment({ kind: 'nats', servers: ['nats://127.0.0.1:1'], leaseSeconds: 3 }));
    await servePage('two', { decides: false });
    await until(() => named('confirmed').length >= 2);
    expect(named('answered-probe')).toEqual([]);
  }, 15_000);

  it('does not believe a URL that answers under another certificate', async () => {
    await servePage('stranger');
    await until(() => named('confirmed').length >= 1);
    expect(named('answered-probe')).toEqual([]);
  }, 15_000);

  it('takes anybody who answers for a sign of life while the certificate is forgotten, and believes nothing that he says', async () => {
    const dissolved: unknown[] = [];
    monitor.subscribe(PeerDissolvedPair, (word) => void dissolved.push(word));
    const file = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
    const pinned = await file.read();
    if (pinned) await file.write({ ...pinned, isForgotten: true });
    await servePage('stranger', { dissolved: true, decides: false });
    await until(() => named('answered-probe').length >= 2);
    expect(named('confirmed')).toEqual([]);
    expect(dissolved).toEqual([]);
  }, 15_000);

  it('loses no beat while the peer renews its certificate', async () => {
    peer.handle(Beat, ({ nonce }) => ({ nonce, status: STATUS }));
    await until(() => named('heard').length >= 2);
    const file = new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value));
    const first = await file.read();
    if (!first) throw new Error('nobody is pinned');
    const { certificatePem, fingerprint } = await identityOf('two-renewed');
    const second = { ...first, certificatePem, fingerprint };
    const changes = [{ ...first, next: second }, second, { ...second, next: first }, first];
    for (const change of [...changes, ...changes]) {
      const before = named('heard').length;
      await file.write(change);
      await until(() => named('heard').length >= before + 2);
    }
    expect(named('lost')).toEqual([]);
    // watched anew it would beat at once, each time; on a busy machine one beat may come late and the next in time
    const gaps = named('heard').map(
      ({ atMs }, index, all) => atMs - (all[index - 1]?.atMs ?? Number.NEGATIVE_INFINITY),
    );
    expect(gaps.filter((ms) => ms < INTERVAL_MS / 2).length).toBeLessThan(changes.length);
  }, 15_000);

  it('does not count late answers, nor answers to another nonce', async () => {
    let beats = 0;
    const late: Promise<void>[] = [];
    peer.handle(Beat, ({ nonce }) => {
      beats += 1;
      if (beats % 2 === 0) return { nonce: 'another', status: STATUS };
      const sentAtMs = performance.now();
      const answer = until(() => performance.now() - sentAtMs > LATE_MS);
      late.push(answer);
      return answer.then(() => ({ nonce, status: STATUS }));
    });
    await until(() => named('lost').length >= 1);
    await Promise.all(late);
    await until(() => named('lost').length >= 3);
    expect(named('heard')).toEqual([]);
  }, 15_000);

  it('beats at once when the peer hints at a change', async () => {
    let beats = 0;
    peer.handle(Beat, ({ nonce }) => {
      beats += 1;
      return { nonce, status: STATUS };
    });
    await until(() => beats >= 2);
    const took: number[] = [];
    for (let hint = 0; hint < 20; hint++) {
      const before = named('heard').length;
      const hintedAtMs = performance.now();
      peer.publish(StatusChangedHint, {});
      await until(() => named('heard').length > before);
      took.push(performance.now() - hintedAtMs);
    }
    // a busy machine may hold up some of them
    expect(took.filter((ms) => ms < INTERVAL_MS / 2).length).toBeGreaterThan(10);
  }, 15_000);

  it('answers the peer with the status of its own health-monitor, and refuses a beat of another pair', async () => {
    const beat = { nonce: 'n', sequence: 1, pairId: PAIR };
    expect(await peer.request(Beat, beat, { timeoutMs: 5000 })).toMatchObject({ nonce: 'n', status: { name: 'one' } });
    await expect(peer.request(Beat, { ...beat, pairId: 'other' }, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'wrong-pair',
    });
  }, 15_000);

  it('blames nobody while its own bus is gone, and hears the peer again when it is back', async () => {
    peer.handle(Beat, ({ nonce }) => ({ nonce, status: STATUS }));
    await until(() => named('heard').length >= 2);
    const port = Number(new URL(readBusCredentials(paths).url).port);
    nats.kill('SIGKILL');
    await once(nats, 'exit');
    await until(() => !monitor.connected);
    const goneAtMs = performance.now();
    await until(() => performance.now() - goneAtMs > 5 * INTERVAL_MS + GRACE_MS);
    nats = await startNats(port);
    const before = named('heard').length;
    await until(() => named('heard').length >= before + 2);
    expect([...named('lost'), ...named('confirmed')]).toEqual([]);
  }, 20_000);

  it('blames nobody while its own bus hangs', async () => {
    peer.handle(Beat, ({ nonce }) => ({ nonce, status: STATUS }));
    await until(() => named('heard').length >= 2);
    nats.kill('SIGSTOP');
    const hungAtMs = performance.now();
    await until(() => performance.now() - hungAtMs > 3000);
    nats.kill('SIGCONT');
    const before = named('heard').length;
    await until(() => named('heard').length >= before + 2);
    expect([...named('lost'), ...named('confirmed')]).toEqual([]);
  }, 20_000);
});

function environment(witness?: object) {
  const file = join(directory, 'one.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      node: { name: 'one', role: 'primary', address: '127.0.0.1', dataDirectory: paths.dataDirectory },
      heartbeat: {
        intervalSeconds: INTERVAL_MS / 1000,
        missedLimit: 3,
        graceSeconds: GRACE_MS / 1000,
        probeTimeoutSeconds: 0.5,
      },
      ...(witness ? { witness } : {}),
    }),
  );
  const loaded = loadConfiguration(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return makeServiceEnvironment('heartbeat', {
    file,
    runId: 'run',
    configuration: loaded.configuration,
    logger: SILENT_LOGGER,
  });
}

/** Makes an identity for a server that is not this one. */
async function identityOf(name: string) {
  const theirs = new NodePaths(join(directory, name));
  mkdirSync(theirs.identity, { recursive: true });
  await ensureOwnIdentity(theirs, { name, address: '127.0.0.1' });
  const identity = await readOwnIdentity(theirs);
  if (!identity) throw new Error('no identity was made');
  return { ...identity, key: readFileSync(theirs.privateKey) };
}

async function pin(): Promise<void> {
  const { certificatePem, fingerprint } = await identityOf('two');
  await new PeerIdentityFile(paths.peer, (value) => PeerIdentitySchema.parse(value)).write({
    name: 'two',
    role: 'secondary',
    address: '127.0.0.1',
    certificatePem,
    fingerprint,
    ports: { healthMonitor: pagePort, fileSync: 1, pairLink: 1, database: 1 },
    pairId: PAIR,
  });
}

async function servePage(name: string, body: object = {}): Promise<void> {
  const { certificatePem, key } = await identityOf(name);
  page = createHttpsServer({ cert: certificatePem, key }, (_, response) => response.end(JSON.stringify(body)));
  page.listen(pagePort, '127.0.0.1');
  await once(page, 'listening');
}

function connectAs(name: string, role: 'primary' | 'secondary'): Promise<Bus> {
  return Bus.connect({ credentials: readBusCredentials(paths), name, role, logger: SILENT_LOGGER });
}

async function startNats(port: number): Promise<ChildProcess> {
  const child = spawn('nats-server', ['-c', join(directory, 'nats.conf')], { stdio: 'ignore' });
  await until(
    () =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1');
        socket.once('connect', () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', () => resolve(false));
      }),
  );
  return child;
}

const named = (name: Fact['name']) => facts.filter((fact) => fact.name === name);

async function until(condition: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const limitAtMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limitAtMs) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
