import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CREATE_WRITER_TABLE, Writer } from '../writer/writer.ts';
import { monotonicMs, until } from './deadline.ts';
import { HostAgent } from './host-agent.ts';
import { namespaceExists, namespacesAreAvailable, pidsIn } from './namespaces.ts';
import { PlainPostgres } from './plain-postgres.ts';
import { removeLeftovers, Stage } from './stage.ts';

const describeOnStage = namespacesAreAvailable() ? describe : describe.skip;

describeOnStage('the stage', () => {
  let stage: Stage;

  beforeAll(() => {
    stage = Stage.create();
  });
  afterAll(() => stage.destroy());

  /** A refused connection is an answer from the other host; silence is none. */
  const sees = async (from: Stage['n1'], to: Stage['n1']) => {
    const agent = new HostAgent(from);
    const asked = agent.http('GET', `https://${to.address}:9/`, { timeoutMs: 700 });
    const refused = await asked.then(
      () => true,
      (error: Error) => error.message.includes('ECONNREFUSED'),
    );
    agent.close();
    return refused;
  };

  it('joins the three hosts', async () => {
    await until('n1 sees n2', { withinMs: 5000 }, () => sees(stage.n1, stage.n2));
    await until('n3 sees n1', { withinMs: 5000 }, () => sees(stage.n3, stage.n1));
  });

  it.each([['cutLink'], ['cutLinkSilently']] as const)(
    '%s parts a host until the link is healed',
    async (cut) => {
      stage.n1[cut]();
      expect(await sees(stage.n1, stage.n2)).toBe(false);
      stage.n1.healLink();
      await until('n1 sees n2', { withinMs: 5000 }, () => sees(stage.n1, stage.n2));
    },
    20_000,
  );

  it('gives every host its own /tmp and /run/postgresql', async () => {
    await stage.n1.run(['sh', '-c', 'echo n1 > /tmp/probe; echo n1 > /run/postgresql/probe']);
    const { output } = await stage.n2.run(['sh', '-c', 'ls /tmp /run/postgresql']);
    expect(output).not.toContain('probe');
    expect(existsSync('/tmp/probe')).toBe(false);
  });

  it('kills every process of a dying host, and the host comes back with empty /tmp and its disk', async () => {
    stage.n2.start(['sh', '-c', 'trap "" TERM; (sleep 1000 &) ; sleep 1000'], { log: 'sleepers.log' });
    await until('sleepers run', { withinMs: 10_000 }, () => stage.n2.processes().length >= 3);
    const pids = pidsIn(stage.n2.namespace);
    mkdirSync(join(stage.n2.directory, 'disk'), { recursive: true });
    writeFileSync(join(stage.n2.directory, 'tmp', 'gone'), '');

    stage.n2.die();

    expect(namespaceExists(stage.n2.namespace)).toBe(false);
    expect(pids.filter((pid) => existsSync(`/proc/${pid}/ns/net`))).toEqual([]);
    stage.n2.powerOn();
    expect(existsSync(join(stage.n2.directory, 'tmp', 'gone'))).toBe(false);
    expect(existsSync(join(stage.n2.directory, 'disk'))).toBe(true);
    await until('n3 sees n2 again', { withinMs: 5000 }, () => sees(stage.n3, stage.n2));
  }, 20_000);

  it('does not touch a stage whose owner lives', () => {
    removeLeftovers();
    expect(stage.n1.isPowered).toBe(true);
  });

  it('refuses to signal a process that is not of the host', () => {
    expect(() => stage.n1.kill(process.pid)).toThrow('is not one of n1');
  });

  it('asks from inside a host, and notices its death', async () => {
    const agent = new HostAgent(stage.n1);
    await expect(agent.http('GET', 'https://127.0.0.1:1/')).rejects.toThrow('ECONNREFUSED');
    stage.n1.die();
    await expect(agent.http('GET', 'https://127.0.0.1:1/')).rejects.toThrow('down');
    stage.n1.powerOn();
  });
});

describeOnStage('the writing client', () => {
  let stage: Stage;
  let database: PlainPostgres;

  beforeAll(async () => {
    stage = Stage.create();
    database = await PlainPostgres.create(stage.n2);
    await database.query(CREATE_WRITER_TABLE);
  }, 60_000);
  afterAll(() => stage.destroy());

  it('writes to the first target that answers, measures the outage and finds every acknowledged row', async () => {
    const writer = Writer.start(stage.n3, 'outage', [`${stage.n1.address}:5432`, `${stage.n2.address}:5432`]);
    await writer.isWriting({ withinMs: 10_000 });
    const faultMs = monotonicMs();
    stage.n2.kill(database.postmasterPid());
    await until('writes fail', { withinMs: 5000 }, () => writer.log.errors.some((error) => error.atMs > faultMs));
    await database.start();
    await until(
      'writes go on',
      { withinMs: 10_000 },
      () => (writer.log.acknowledged.at(-1)?.atMs ?? 0) > faultMs + 200,
    );
    const log = await writer.stop();

    const rows = await database.query(`select sequence from understudy_e2e where run = 'outage'`);
    expect(log.lost(new Set(rows.map((row) => Number(row[0]))))).toEqual([]);
    expect(log.longestOutageSince(faultMs)?.durationMs).toBeGreaterThan(100);
  }, 60_000);

  it('passes over a read-only target', async () => {
    await database.query('alter database postgres set default_transaction_read_only = on');
    const writer = Writer.start(stage.n3, 'read-only', [`${stage.n2.address}:5432`]);
    await until('refused', { withinMs: 10_000 }, () =>
      writer.log.errors.some((error) => error.text.includes('read-only')),
    );
    expect((await writer.stop()).acknowledged).toEqual([]);
  }, 60_000);
});
