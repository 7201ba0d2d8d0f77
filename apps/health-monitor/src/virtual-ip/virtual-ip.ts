import type { StatusView } from '@understudy/contracts';
import { EffectError } from '@understudy/ha-runtime';
import type { Clock, NodeConfiguration } from '@understudy/platform';
import type { AddressAnnouncer, AddressHolder } from '../ports/address-holder.port.ts';
import { ClaimPreparation } from './claim-preparation.ts';
import { listOf, type VirtualAddresses } from './subnet.ts';

const TICK_MS = 500;
/** So little left is renewed also where little is gained. */
const SHORT_MS = 1500;
/** How often an address that somebody else has is tried again. */
const CLAIM_AGAIN_MS = 2000;
/** Announcements after a claim: the first may be lost, and a switch may be learning. Then again and again, for who missed them all. */
const ANNOUNCE_AGAIN_MS = [100, 400, 1000, 2000];
const ANNOUNCE_EVERY_MS = 5000;
/** So much longer than its lifetime an address that cannot be removed is waited for. */
const RELEASE_MARGIN_MS = 2000;
const LIFETIME_MAX_SECONDS = 10;
const LIFETIME_MIN_SECONDS = 2;
/** So late the kernel may be with an address whose lifetime has ended. */
const KERNEL_LATE_MS = 300;

/** What the virtual IP needs of its server. */
export interface VirtualIpSurroundings {
  /** The addresses of the pair's configuration, as of now. */
  addresses(): VirtualAddresses;
  /** Until when this server may serve, on its own monotonic clock; 0: it may not, infinite: nothing limits it. */
  mayServeUntilMs(): number;
  tell(severity: 'info' | 'warning' | 'critical', code: string, message: string): void;
  readonly clock: Clock;
  /** The longest time for which the kernel keeps an address that is not renewed. */
  readonly lifetimeSeconds: number;
}

/**
 * Whether clients may come: no; where the address still is, until it is known whether the application runs, which is being opened anew;
 * or yes.
 */
export type Reach = 'closed' | 'as-left' | 'open';

interface Held {
  /** When the kernel drops it, unless it is renewed. */
  readonly untilMs: number;
  readonly announcedAtMs: number;
  readonly announcer: AddressAnnouncer;
}

/**
 * The time that an address outlives its manager: less than a peer needs to find out that the manager is silent, between 2 and 10 s.
 */
export function virtualIpLifetimeSeconds({
  intervalSeconds,
  missedLimit,
  graceSeconds,
}: NodeConfiguration['heartbeat']) {
  const silence = Math.floor(intervalSeconds * (missedLimit - 1) + graceSeconds);
  return Math.min(LIFETIME_MAX_SECONDS, Math.max(LIFETIME_MIN_SECONDS, silence));
}

/**
 * Holds the pair's virtual IP on this server while its application may be reached here, and at no other time. A dead man's handle: each
 * renewal lasts a short time, never longer than this server's right to serve; when nobody renews, the kernel drops the address. What
 * hinders it never hinders the application. Decision: docs/decisions/0018-virtual-ip.md.
 */
export class VirtualIp {
  private reach: Reach = 'closed';
  private highestEpoch = 0;
  private readonly held = new Map<string, Held>();
  private readonly preparation: ClaimPreparation;
  private readonly troubles = new Map<string, string>();
  /** Addresses of which it was told that they cannot be announced. */
  private readonly unannounceable = new Set<string>();
  private readonly claimableAtMs = new Map<string, number>();
  private probing = new AbortController();
  private tail: Promise<unknown> = Promise.resolve();
  private isIdle = true;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    /** Null: this server's configuration names no interface; nothing is ever held. */
    private readonly holder: AddressHolder | null,
    private readonly surroundings: VirtualIpSurroundings,
  ) {
    this.preparation = new ClaimPreparation(surroundings.clock);
  }

  /** Begins to keep watch. `reach`: what an earlier manager of this run has left. */
  start(reach: Reach): void {
    if (this.holder === null) return;
    if (this.reach === 'closed') this.reach = reach;
    const look = () => {
      if (this.isIdle) void this.settle().catch(() => undefined);
    };
    this.timer = setInterval(look, TICK_MS);
    look();
  }

  /** The manager goes. An address that is held stays for its lifetime: the next manager renews it, or the kernel drops it. */
  stop(): void {
    clearInterval(this.timer);
    this.probing.abort();
    this.preparation.forget();
    for (const address of [...this.held.keys()]) this.letGo(address);
  }

  /** The application is about to be opened: whether an address is free is asked meanwhile, so that the claim need not wait for it. */
  prepare(): void {
    const { holder } = this;
    if (holder === null || this.reach === 'open') return;
    const absent = listOf(this.surroundings.addresses()).filter((address) => !holder.has(address));
    this.preparation.begin(holder, absent, (address) => this.announcerOf(holder, address));
  }

  /** Clients may come. Resolves when the address is here or cannot be for now. Rejects with `EffectError` `stale-epoch` only. */
  async claim(epoch: number): Promise<void> {
    if (epoch < this.highestEpoch)
      throw new EffectError('stale-epoch', `epoch ${epoch} is lower than ${this.highestEpoch}: no virtual IP`);
    this.highestEpoch = epoch;
    this.reach = 'open';
    this.probing = new AbortController();
    this.claimableAtMs.clear();
    await this.settle().catch(() => undefined);
  }

  /**
   * No client comes any more, and the connections to the address have ended. Rejects with `EffectError` `virtual-ip-not-released` when it
   * cannot be removed and the kernel has not dropped it either.
   */
  async release(): Promise<void> {
    const { clock, lifetimeSeconds } = this.surroundings;
    const endMs = clock.nowMs() + lifetimeSeconds * 1000 + RELEASE_MARGIN_MS;
    this.close();
    for (;;) {
      const failure = await this.settle().then(
        () => null,
        (error: unknown) => error,
      );
      if (failure === null) return;
      if (clock.nowMs() > endMs) throw new EffectError('virtual-ip-not-released', String(failure));
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  /** The right to serve is lost: the address goes at once, or with its lifetime. Never rejects. */
  async drop(): Promise<void> {
    this.close();
    await this.settle().catch(() => undefined);
  }

  /** For GET /api/v1/ha/status. */
  view(): StatusView['virtualIp'] {
    const addresses = this.surroundings.addresses();
    const wanted = listOf(addresses);
    const reasons = wanted.flatMap((address) => this.troubles.get(address) ?? []);
    const held = wanted.length > 0 && wanted.every((address) => this.held.has(address) && this.holder?.has(address));
    return { ...addresses, held, ...(reasons.length > 0 ? { reason: reasons.join('; ') } : {}) };
  }

  private close(): void {
    this.reach = 'closed';
    this.probing.abort();
    this.preparation.forget();
  }

  /** Brings the interface to what is wanted now, after what is under way. Rejects when an address cannot be removed. */
  private settle(): Promise<void> {
    const { holder } = this;
    if (holder === null) return Promise.resolve();
    this.isIdle = false;
    const settled = this.tail.then(async () => {
      const configured = listOf(this.surroundings.addresses());
      const wanted = this.reach === 'closed' ? [] : configured;
      const others = new Set([...configured, ...this.held.keys()].filter((address) => !wanted.includes(address)));
      const works = [
        ...[...others].map((address) => this.giveBack(holder, address)),
        ...wanted.map((address) => this.keep(holder, address)),
      ];
      const [failed] = (await Promise.allSettled(works)).filter((work) => work.status === 'rejected');
      if (failed) throw failed.reason;
    });
    const tail: Promise<unknown> = settled
      .catch(() => undefined)
      .then(() => {
        if (this.tail === tail) this.isIdle = true;
      });
    this.tail = tail;
    return settled;
  }

  private async giveBack(holder: AddressHolder, address: string): Promise<void> {
    this.troubles.delete(address);
    const wasHeld = this.held.has(address);
    if (!wasHeld && !holder.has(address)) return;
    await holder.remove(address).catch((error: unknown) => {
      if (holder.has(address)) throw error;
    });
    this.letGo(address);
    if (wasHeld) this.surroundings.tell('info', 'virtual-ip-released', `${address} was given back`);
  }

  private async keep(holder: AddressHolder, address: string): Promise<void> {
    const held = this.held.get(address);
    if (this.remainingSeconds() < 1) return;
    if (holder.present.length === 0) {
      // a short loss of the carrier is over before the lifetime is; after a long one the peer may have the address
      this.letGo(address);
      const message = `${holder.name} is missing or has no connection: ${address} cannot be held`;
      this.note(address, 'warning', 'virtual-ip-interface-down', message);
      return;
    }
    try {
      if (holder.has(address)) await this.renew(holder, address, held);
      else if (this.reach === 'open') await this.take(holder, address, held !== undefined);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.note(address, 'critical', 'virtual-ip-failed', `${address} cannot be held on ${holder.name}: ${reason}`);
    }
  }

  private async renew(holder: AddressHolder, address: string, held: Held | undefined): Promise<void> {
    const { clock, lifetimeSeconds } = this.surroundings;
    const nowMs = clock.nowMs();
    const seconds = this.remainingSeconds();
    const untilMs = nowMs + seconds * 1000;
    const gainedMs = untilMs - (held?.untilMs ?? 0);
    const isShort = held !== undefined && held.untilMs - nowMs < SHORT_MS;
    if (gainedMs >= lifetimeSeconds * 250 || (isShort && gainedMs > 0)) {
      await holder.put(address, seconds);
      this.troubles.delete(address);
      const announcer = held?.announcer ?? this.announcerOf(holder, address);
      this.held.set(address, { announcedAtMs: 0, announcer, ...held, untilMs });
    }
    this.announceWhenDue(address);
  }

  private async take(holder: AddressHolder, address: string, wasHeld: boolean): Promise<void> {
    const { clock, tell } = this.surroundings;
    if (wasHeld) {
      this.letGo(address);
      tell('warning', 'virtual-ip-lost', `${address} was gone from ${holder.name}: it is claimed again`);
    }
    if (clock.nowMs() < (this.claimableAtMs.get(address) ?? 0)) return;
    this.claimableAtMs.set(address, clock.nowMs() + CLAIM_AGAIN_MS);
    const { signal } = this.probing;
    const prepared = this.preparation.take(address);
    const announcer = prepared?.announcer ?? this.announcerOf(holder, address);
    try {
      const other = (await prepared?.isFree) ? null : await holder.neighbourWith(address, signal);
      const seconds = this.remainingSeconds();
      if (signal.aborted || seconds < 1) return;
      if (other !== null) {
        const message = `${address} is in use by ${other} on ${holder.name}: it is not claimed, and clients do not reach this server by it`;
        this.note(address, 'critical', 'virtual-ip-conflict', message);
        return;
      }
      await holder.put(address, seconds);
      const nowMs = clock.nowMs();
      this.held.set(address, { untilMs: nowMs + seconds * 1000, announcedAtMs: nowMs, announcer });
    } finally {
      if (!this.held.has(address)) announcer.close();
    }
    announcer.announce();
    this.claimableAtMs.delete(address);
    this.troubles.delete(address);
    tell('info', 'virtual-ip-claimed', `${address} is held on ${holder.name}`);
    for (const atMs of ANNOUNCE_AGAIN_MS) setTimeout(() => this.held.get(address)?.announcer.announce(), atMs).unref();
  }

  private letGo(address: string): void {
    this.held.get(address)?.announcer.close();
    this.held.delete(address);
  }

  private announcerOf(holder: AddressHolder, address: string): AddressAnnouncer {
    return holder.announcerOf(address, (reason) => {
      // of an address that has just gone nobody needs to hear
      if (this.unannounceable.has(address) || !holder.has(address)) return;
      this.unannounceable.add(address);
      const message = `${address} cannot be announced: clients may find it late (${reason})`;
      this.surroundings.tell('warning', 'virtual-ip-not-announced', message);
    });
  }

  private announceWhenDue(address: string): void {
    const held = this.held.get(address);
    const nowMs = this.surroundings.clock.nowMs();
    if (held === undefined || nowMs - held.announcedAtMs < ANNOUNCE_EVERY_MS) return;
    this.held.set(address, { ...held, announcedAtMs: nowMs });
    held.announcer.announce();
  }

  /** Whole seconds for which the kernel may keep an address that is put now. */
  private remainingSeconds(): number {
    const { clock, lifetimeSeconds, mayServeUntilMs } = this.surroundings;
    return Math.min(lifetimeSeconds, Math.floor((mayServeUntilMs() - clock.nowMs() - KERNEL_LATE_MS) / 1000));
  }

  /** Keeps what is wrong with an address for the status, and tells it once. */
  private note(address: string, severity: 'warning' | 'critical', code: string, message: string): void {
    if (this.troubles.get(address) === message) return;
    this.troubles.set(address, message);
    this.surroundings.tell(severity, code, message);
  }
}
