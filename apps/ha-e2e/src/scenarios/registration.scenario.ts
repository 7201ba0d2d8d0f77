import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { HostAgent } from '../real-pair/host-agent.ts';
import { namespacesAreAvailable } from '../real-pair/namespaces.ts';
import { AUTHENTICATION_KEY } from '../real-pair/node-configuration.ts';
import { REPOSITORY } from '../real-pair/node-scripts.ts';
import { RealPair, TEST_TIMES } from '../real-pair/real-pair.ts';
import { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { accountOf } from './account.ts';

const KEEPS_FILES = process.env.UNDERSTUDY_E2E_KEEP === '1';

const REFUSAL = { withinMs: 30_000 };
const describeOnStage = namespacesAreAvailable() ? describe : describe.skip;

// Spec: "How to Configure HA Between the Primary and Secondary Servers"; "HA Registration Fails".
describeOnStage('registration (needs root, ip and network namespaces)', () => {
  let pair: RealPair;
  let others: UnderstudyServer[] = [];

  beforeAll(async () => {
    pair = new RealPair({ layout: 'composed', heartbeat: TEST_TIMES });
    for (const server of pair.servers) server.boot();
    for (const server of pair.servers) await server.canBePaired({ withinMs: 90_000 });
    await pair.mark();
  }, 180_000);
  afterAll(() => pair?.destroy({ keepFiles: KEEPS_FILES }));
  afterEach(async () => {
    for (const other of others.splice(0)) await other.stop({ withinMs: 30_000 });
  }, 60_000);

  /** Boots another server on the client's host. */
  async function bootAnother(
    name: string,
    role: 'primary' | 'secondary',
    binds: Record<string, string> = {},
  ): Promise<UnderstudyServer> {
    const other = new UnderstudyServer(pair.stage.n3, { name, role, heartbeat: TEST_TIMES }, 'composed');
    others = [...others, other];
    other.boot({ binds });
    await other.canBePaired({ withinMs: 90_000 });
    return other;
  }

  /** Tells a test; when it fails, with both servers' accounts. */
  function scenario(sentence: string, tell: () => Promise<void>): void {
    const run = async () => {
      try {
        await tell();
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}\n${await accountOf(pair.servers)}`, {
          cause: error,
        });
      }
    };
    it(sentence, run, 240_000);
  }

  async function expectNotConfigured(...servers: UnderstudyServer[]): Promise<void> {
    for (const server of servers) {
      const status = await server.is('HA Not Configured', { withinMs: 15_000 });
      expect(status.peer).toBeNull();
    }
  }

  scenario('with a wrong key it is refused, and both servers are as before', async () => {
    const wrong = { ...pair.registration('manual'), authenticationKey: 'Wrong-Horse-8-Battery' };
    expect(await pair.primary.refusal('PUT', '/ha/configuration', wrong, REFUSAL)).toMatch(/key/i);
    await expectNotConfigured(...pair.servers);
  });

  scenario('with nobody at the address it is refused, and the primary is as before', async () => {
    const nobody = { ...pair.registration('manual'), secondaryAddress: '10.77.0.99' };
    expect(await pair.primary.refusal('PUT', '/ha/configuration', nobody, REFUSAL)).toMatch(/10\.77\.0\.99/);
    await expectNotConfigured(...pair.servers);
  });

  scenario('asked of the secondary it is refused', async () => {
    const outcome = await pair.secondary.ask('PUT', '/ha/configuration', pair.registration('manual'));
    expect(outcome).toMatchObject({ accepted: false, status: 409 });
    await expectNotConfigured(...pair.servers);
  });

  scenario('with another primary as the peer it is refused, and both are as before', async () => {
    const gamma = await bootAnother('gamma', 'primary');
    const wrongRole = { ...pair.registration('manual'), secondaryAddress: gamma.host.address };
    expect(await pair.primary.refusal('PUT', '/ha/configuration', wrongRole, REFUSAL)).toMatch(/primary|role/i);
    await expectNotConfigured(pair.primary, gamma);
  });

  scenario('with a peer of another version it is refused, and both are as before', async () => {
    const description = join(REPOSITORY, 'libs/platform/package.json');
    const older = join(pair.stage.directory, 'older-package.json');
    writeFileSync(older, JSON.stringify({ ...JSON.parse(readFileSync(description, 'utf8')), version: '0.0.1' }));
    const delta = await bootAnother('delta', 'secondary', { [description]: older });
    const wrongVersion = { ...pair.registration('manual'), secondaryAddress: delta.host.address };
    expect(await pair.primary.refusal('PUT', '/ha/configuration', wrongVersion, REFUSAL)).toMatch(/version/i);
    await expectNotConfigured(pair.primary, delta);
  });

  scenario('with the right key both servers reach their states, and the secondary holds a streaming copy', async () => {
    await pair.mark();
    await pair.primary.query('create table before_registration as select generate_series(1, 1000) as number');
    await pair.register('manual');
    await pair.inSync({ withinMs: 30_000 });
    await pair.conformsTo('REG-OK');
    expect(await pair.secondary.query('select count(*) from before_registration')).toEqual([['1000']]);
    expect(pair.application.starts().at(-1)).toBe('n1');
    expect(pair.application.runsOn(pair.secondary.host)).toBe(false);
  });

  scenario('with a secondary that is paired already it is refused, and the pair does not notice', async () => {
    await pair.mark();
    const epsilon = await bootAnother('epsilon', 'primary');
    expect(await epsilon.refusal('PUT', '/ha/configuration', pair.registration('manual'), REFUSAL)).toMatch(/paired/i);
    await expectNotConfigured(epsilon);
    await pair.inSync({ withinMs: 10_000 });
    expect((await pair.secondary.status())?.peer?.name).toBe('alpha');
    expect(pair.primary.history.sinceMark()).toEqual(['Primary Active']);
    expect(pair.secondary.history.sinceMark()).toEqual(['Secondary Syncing']);
  });

  // Spec: "Reset the HA Authentication Key".
  scenario(
    'another authentication key is in force on both, sessions of the old one end, and the pair does not notice',
    async () => {
      await pair.mark();
      const client = new HostAgent(pair.stage.n3);
      const urlOf = ({ host }: UnderstudyServer) => `https://${host.address}:8082/api/v1`;
      const signIn = async (server: UnderstudyServer, authenticationKey: string) =>
        client.http('POST', `${urlOf(server)}/auth/login`, { body: { authenticationKey }, timeoutMs: 10_000 });
      const sessions: { readonly server: UnderstudyServer; readonly token: string }[] = [];
      for (const server of pair.servers) {
        const { json } = await signIn(server, AUTHENTICATION_KEY);
        sessions.push({ server, token: (json as { token: string }).token });
      }
      const statuses = async () => {
        const answers = sessions.map(({ server, token }) =>
          client.http('GET', `${urlOf(server)}/ha/status`, { token }),
        );
        return (await Promise.all(answers)).map(({ status }) => status);
      };
      expect(await statuses()).toEqual([200, 200]);

      const weak = await pair.primary.command('ha', 'authkey', 'understudy');
      expect(weak.code).toBe(2);
      expect(weak.output).toContain('it needs 3');
      expect(await statuses()).toEqual([200, 200]);
      const { code, output } = await pair.primary.command('ha', 'authkey', 'Another-Horse-9-Battery');
      expect([code, output]).toEqual([0, expect.stringContaining('is changed on alpha and beta')]);
      expect(await statuses()).toEqual([401, 401]);
      for (const server of pair.servers) {
        expect((await signIn(server, AUTHENTICATION_KEY)).status).toBe(401);
        expect((await signIn(server, 'Another-Horse-9-Battery')).status).toBe(200);
      }
      await pair.inSync({ withinMs: 10_000 });
      expect(pair.primary.history.sinceMark()).toEqual(['Primary Active']);
      expect(pair.secondary.history.sinceMark()).toEqual(['Secondary Syncing']);
      client.close();
    },
  );
});
