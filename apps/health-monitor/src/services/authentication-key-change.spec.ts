import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import type { AuthenticationKeyOffer, PeerIdentity } from '@understudy/contracts';
import { NodePaths, SILENT_LOGGER, SystemClock } from '@understudy/platform';
import {
  AuthenticationKeyStore,
  accept,
  type Refusable,
  type RegistrationTransport,
  refuse,
  type StretchedKey,
  stretchNewKey,
} from '../registration/index.ts';
import { AuthenticationKeyChange } from './authentication-key-change.ts';

// stretching a key is slow on purpose
jest.setTimeout(30_000);

const OLD = 'Correct-Horse-7-Battery';
const NEW = 'Another-Horse-8-Battery';

let directory: string;
let alpha: ReturnType<typeof server>;
let beta: ReturnType<typeof server>;
let way: (offer: AuthenticationKeyOffer) => Promise<Refusable<{ proof: string }>>;
let isPaired: boolean;
let old: StretchedKey;
let offers: AuthenticationKeyOffer[];

/** One server of the pair, with its files; `again`: the same after a restart of its manager. */
function server(name: string, role: 'primary' | 'secondary') {
  const paths = new NodePaths(join(directory, name));
  const told: string[] = [];
  const keys = () => new AuthenticationKeyStore(paths, null, false, name);
  const peer = { name: role === 'primary' ? 'beta' : 'alpha', pairId: 'pair', address: 'x', ports: {} } as PeerIdentity;
  const transport: RegistrationTransport = {
    post: async (_target, _path, body) => {
      const answer = await way(body as AuthenticationKeyOffer);
      return answer.ok ? accept({ body: answer.value, fingerprint: '' }) : answer;
    },
  };
  const manager = () =>
    new AuthenticationKeyChange(
      {
        name,
        role,
        file: paths.authenticationKeyChange,
        peer: () => (isPaired ? peer : null),
        isPeerReachable: () => true,
        tell: (_, message) => told.push(message),
      },
      keys(),
      transport,
      new SystemClock(),
      SILENT_LOGGER,
    );
  return { paths, told, keys, manager, has: async (key: string) => (await keys().verify(key)).valid };
}

/** Whether alpha has the old key, and beta. */
const whoHasOld = async () =>
  Promise.all([alpha, beta].map(async ({ keys }) => (await keys().read())?.verifier.equals(old.verifier)));
/** Both have a key, the same. */
const haveTheSame = async () => {
  const [one, other] = await Promise.all([alpha, beta].map(({ keys }) => keys().read()));
  return one?.verifier.equals(other?.verifier ?? Buffer.of());
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-key-'));
  [alpha, beta] = [server('alpha', 'primary'), server('beta', 'secondary')];
  isPaired = true;
  old ??= await stretchNewKey(OLD);
  for (const { keys } of [alpha, beta]) await keys().store(old);
  offers = [];
  way = (offer) => {
    offers.push(offer);
    return beta.manager().adopt(offer);
  };
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

// Spec: "Reset the HA Authentication Key".
it('a new key is in force on both servers, and the old one on neither', async () => {
  expect(await alpha.manager().change(NEW)).toEqual(['alpha', 'beta']);
  expect([await alpha.has(NEW), await beta.has(NEW), await alpha.has(OLD)]).toEqual([true, true, false]);
  expect(JSON.stringify(offers)).not.toContain((await beta.keys().read())?.verifier.toString('base64url'));
  expect(existsSync(alpha.paths.authenticationKeyChange)).toBe(false);
});

it.each([
  ['a weak one', 'short', 'invalid-input'],
  ['one with the name of the other server', 'My-Beta-7-Battery', 'invalid-input'],
])('%s is refused, and nothing changes', async (_, key, code) => {
  await expect(alpha.manager().change(key)).rejects.toMatchObject({ code });
  expect(await whoHasOld()).toEqual([true, true]);
});

it('it is changed on the primary; without a pair on the server itself', async () => {
  await expect(beta.manager().change(NEW)).rejects.toMatchObject({ code: 'wrong-server' });
  isPaired = false;
  expect(await beta.manager().change(NEW)).toEqual(['beta']);
  expect(await whoHasOld()).toEqual([true, false]);
});

it('when the peer refuses, neither has it', async () => {
  await beta.keys().store(await stretchNewKey('Different-Horse-9'));
  await expect(alpha.manager().change(NEW)).rejects.toMatchObject({ code: 'wrong-key' });
  expect(await whoHasOld()).toEqual([true, false]);
  expect(existsSync(alpha.paths.authenticationKeyChange)).toBe(false);
});

it.each([
  ['the answer was lost', true],
  ['the offer was lost', false],
])('when %s and the manager dies, its successor brings it to an end on both', async (_, arrives) => {
  way = async (offer) => {
    if (arrives) await beta.manager().adopt(offer);
    return refuse('timeout', 'no answer');
  };
  const first = alpha.manager();
  await expect(first.change(NEW)).rejects.toMatchObject({ code: 'peer-unreachable' });
  await expect(first.change('Yet-Another-Horse-9')).rejects.toMatchObject({ code: 'operation-running' });
  expect(await whoHasOld()).toEqual([true, !arrives]);

  way = (offer) => beta.manager().adopt(offer);
  const second = alpha.manager();
  await second.start();
  await second.complete();
  await second.stop();
  expect([await whoHasOld(), await haveTheSame()]).toEqual([[false, false], true]);
  expect(await second.change(OLD)).toEqual(['alpha', 'beta']);
});

it('a peer that is silent for an hour is asked by one question at a time: a stop does not wait for a queue of them', async () => {
  way = async () => refuse('timeout', 'no answer');
  await expect(alpha.manager().change(NEW)).rejects.toMatchObject({ code: 'peer-unreachable' });

  let questions = 0;
  const silence = Promise.withResolvers<Refusable<{ proof: string }>>();
  way = () => {
    questions += 1;
    return silence.promise;
  };
  jest.useFakeTimers({
    doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask', 'performance', 'Date'],
  });
  try {
    const manager = alpha.manager();
    await manager.start();
    jest.advanceTimersByTime(3_600_000);
    silence.resolve(refuse('timeout', 'no answer'));
    await manager.stop();
  } finally {
    jest.useRealTimers();
  }
  expect(questions).toBe(1);
});

it('an offer is of no use to a stranger: not changed on its way, not for another pair, not a second time after another change', async () => {
  await alpha.manager().change(NEW);
  const [offer] = offers as [AuthenticationKeyOffer];
  await alpha.manager().change(OLD);
  for (const forged of [offer, { ...offer, pairId: 'other' }, { ...offer, sealed: `A${offer.sealed.slice(1)}` }])
    expect((await beta.manager().adopt(forged)).ok).toBe(false);
  expect([await whoHasOld(), await haveTheSame()]).toEqual([[false, false], true]);
});

it('guessing gets slower and slower', async () => {
  await alpha.manager().change(NEW);
  const [offer] = offers as [AuthenticationKeyOffer];
  const guessed = { ...offer, mark: 'x' };
  const manager = beta.manager();
  const codes: string[] = [];
  for (let attempt = 0; attempt < 12; attempt++) {
    const answer = await manager.adopt(guessed);
    if (!answer.ok) codes.push(answer.refusal.code);
  }
  expect(codes[0]).toBe('wrong-key');
  expect(codes.at(-1)).toBe('too-many-attempts');
});
