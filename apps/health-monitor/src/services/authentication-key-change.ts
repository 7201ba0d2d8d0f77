import { readFile, rm } from 'node:fs/promises';
import { type AuthenticationKeyOffer, AuthenticationKeyOfferSchema, type PeerIdentity } from '@understudy/contracts';
import type { ServerRole } from '@understudy/ha-core';
import { BusError } from '@understudy/messaging';
import { type Clock, type Logger, writeFileAtomically } from '@understudy/platform';
import { z } from 'zod';
import { Turns } from '../domain/turns.ts';
import {
  AttemptLimiter,
  type AuthenticationKeyStore,
  accept,
  equalInConstantTime,
  isOfferOf,
  proofOfKey,
  type Refusable,
  type RegistrationTransport,
  refuse,
  type StretchedKey,
  sealKey,
  stretchNewKey,
  unsealKey,
  weaknessOf,
} from '../registration/index.ts';

const PATH = '/api/v1/pair/authentication-key';
const TRY_AGAIN_MS = 5000;
/** The peer's own words: it has not taken the key. Of everything else that is not known. */
const SAID_BY_PEER = ['wrong-key', 'no-key', 'expired', 'invalid-input'];

const PendingSchema = z.object({ salt: z.string(), verifier: z.string(), offer: AuthenticationKeyOfferSchema });
interface Pending {
  readonly next: StretchedKey;
  readonly offer: AuthenticationKeyOffer;
}

/** What a change needs to know of this server. */
export interface KeyChangeSurroundings {
  readonly name: string;
  readonly role: ServerRole;
  /** Where a change that is under way is kept. */
  readonly file: string;
  peer(): PeerIdentity | null;
  isPeerReachable(): boolean;
  tell(severity: 'info' | 'warning', message: string): void;
}

/**
 * Changes the authentication key of a pair on both servers or on neither. The peer decides: when it has taken the new key, this server
 * takes it too, however long it takes to learn so; what was offered is on disk before. Spec: "Reset the HA Authentication Key".
 */
export class AuthenticationKeyChange {
  private pending: Pending | null = null;
  private readonly turns = new Turns();
  private isChanging = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly limiter = new AttemptLimiter();

  constructor(
    private readonly own: KeyChangeSurroundings,
    private readonly keys: AuthenticationKeyStore,
    private readonly transport: RegistrationTransport,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Goes on with a change that an earlier manager has begun. */
  async start(): Promise<void> {
    this.pending = await readPending(this.own.file, this.logger);
    const tryAgain = () => {
      // an answer may take longer to be missed: a stop would wait for all that had queued up
      if (this.turns.isIdle) void this.complete();
    };
    this.timer = setInterval(tryAgain, TRY_AGAIN_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.turns.settled();
  }

  /**
   * Resolves with the names of the servers that have the new key. Throws `BusError`: `invalid-input` (too weak), `wrong-server`,
   * `operation-running`, `no-key`, `peer-unreachable` (nothing has changed, or the message says that it is not known), or the peer's refusal.
   */
  async change(newKey: string): Promise<string[]> {
    const { own, keys } = this;
    const peer = own.peer();
    const weakness = weaknessOf(newKey, [own.name, ...(peer ? [peer.name] : [])]);
    if (weakness !== null) {
      const errors = [{ pointer: '/newAuthenticationKey', message: weakness }];
      throw new BusError('invalid-input', `The new authentication key ${weakness}.`, false, errors);
    }
    if (peer !== null && own.role !== 'primary')
      throw new BusError('wrong-server', `The authentication key of a pair is changed on its primary, ${peer.name}.`);
    if (this.isChanging || this.pending !== null)
      throw new BusError('operation-running', 'Another change of the authentication key is not completed yet.');
    this.isChanging = true;
    try {
      const next = await stretchNewKey(newKey);
      if (peer === null) {
        await keys.store(next);
        own.tell('info', 'The authentication key was changed.');
        return [own.name];
      }
      await this.offer(next, peer);
      return [own.name, peer.name];
    } finally {
      this.isChanging = false;
    }
  }

  /** The primary's offer of a new key. Never rejects; says the same to one that comes again. */
  async adopt(offer: AuthenticationKeyOffer): Promise<Refusable<{ proof: string }>> {
    const { own, keys, limiter, clock } = this;
    if (own.peer()?.pairId !== offer.pairId) return refuse('expired', `${own.name} is not of that pair`);
    try {
      const present = await keys.read();
      if (!present) return refuse('no-key', `${own.name} has no authentication key`);
      if (!isOfferOf(present, offer)) {
        const waitMs = limiter.waitMs(null, clock.nowMs());
        if (waitMs > 0) return refuse('too-many-attempts', `try again in ${Math.ceil(waitMs / 1000)} s`);
        const next = unsealKey(present, offer);
        if (!next) {
          limiter.wrong(null, clock.nowMs());
          return refuse(
            'wrong-key',
            `${own.name} has another authentication key than its primary: set the same on both first`,
          );
        }
        await keys.store(next);
        own.tell('info', 'The authentication key was changed, as the primary has asked. Sessions have ended.');
        return accept({ proof: proofOfKey('adopted', next, offer) });
      }
      return accept({ proof: proofOfKey('adopted', present, offer) });
    } catch (error) {
      return refuse('failed', error instanceof Error ? error.message : String(error));
    }
  }

  private async offer(next: StretchedKey, peer: PeerIdentity): Promise<void> {
    const present = await this.keys.read();
    if (!present) throw new BusError('no-key', 'This server has no authentication key yet.');
    if (!this.own.isPeerReachable())
      throw new BusError(
        'peer-unreachable',
        `${peer.name} is not reachable: the key is changed on both servers or on neither.`,
      );
    const pending = { next, offer: sealKey(present, next, peer.pairId) };
    await writeFileAtomically(this.own.file, formatPending(pending), { mode: 0o600 });
    this.pending = pending;
    const refusal = await this.complete();
    if (refusal !== null) throw new BusError(refusal.code, refusal.message);
    if (this.pending !== null)
      throw new BusError(
        'peer-unreachable',
        `${peer.name} has not answered, and may have the new key: it is asked again until that is known. Until then ${this.own.name} keeps the old one.`,
      );
  }

  /** Asks the peer to take what is offered, and follows it. Resolves with its refusal; null: it has taken it, or that is not known yet. */
  async complete(): Promise<{ code: string; message: string } | null> {
    return this.turns
      .take(() => this.completeNow())
      .catch((error: unknown) => {
        this.logger.error('A change of the authentication key could not go on', { error });
        return null;
      });
  }

  private async completeNow(): Promise<{ code: string; message: string } | null> {
    const { pending, own } = this;
    if (pending === null) return null;
    const { next, offer } = pending;
    const peer = own.peer();
    if (peer?.pairId !== offer.pairId) {
      own.tell('warning', 'A change of the authentication key was given up: the pair is no more.');
      await this.settle();
      return null;
    }
    const target = { address: peer.address, port: peer.ports.healthMonitor };
    const answer = await this.transport.post(target, PATH, offer);
    if (!answer.ok) {
      if (!SAID_BY_PEER.includes(answer.refusal.code)) return null;
      own.tell('warning', `The authentication key was not changed: ${answer.refusal.message}.`);
      await this.settle();
      return answer.refusal;
    }
    const { proof } = z.object({ proof: z.string() }).parse(answer.value.body);
    if (!equalInConstantTime(proof, proofOfKey('adopted', next, offer))) return null;
    await this.keys.store(next);
    await this.settle();
    own.tell('info', `The authentication key was changed on ${own.name} and ${peer.name}. Sessions have ended.`);
    return null;
  }

  private async settle(): Promise<void> {
    await rm(this.own.file, { force: true });
    this.pending = null;
  }
}

function formatPending({ next, offer }: Pending): string {
  const [salt, verifier] = [next.salt, next.verifier].map((part) => part.toString('base64url'));
  return `${JSON.stringify({ salt, verifier, offer })}\n`;
}

async function readPending(file: string, logger: Logger): Promise<Pending | null> {
  try {
    const { salt, verifier, offer } = PendingSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    return { next: { salt: Buffer.from(salt, 'base64url'), verifier: Buffer.from(verifier, 'base64url') }, offer };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      logger.error('A change of the authentication key that was under way cannot be read', { error });
    return null;
  }
}
