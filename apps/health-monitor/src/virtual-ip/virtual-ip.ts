import type { StatusView } from '@understudy/contracts';
import { EffectError } from '@understudy/ha-runtime';
import { Turns } from '../domain/turns.ts';
import type { AddressAnnouncer, AddressHolder } from '../ports/address-holder.port.ts';
import { listOf } from './subnet.ts';
import type { VirtualIpSurroundings } from './surroundings.ts';

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
/**
 * So late the kernel may be with an address whose lifetime has ended: it looks no sooner than 1 s after its last look, which any change
 * of any address causes (ADDRCONF_TIMER_FUZZ_MAX), and waits for a lock. How late it hears of a lifetime is measured. On an idle
 * processor its look waits for the next thing that wakes it, which is bounded by nothing: the runner's guard removes the address then.
 */
export const KERNEL_LATE_MS = 1200;

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
 * Holds the pair's virtual IP on this server while its application may be reached here, and at no other time. A dead man's handle: each
 * renewal lasts a short time, never longer than this server's right to serve; when nobody renews, the kernel drops the address. What
 * hinders it never hinders the application. Decision: docs/decisions/0018-virtual-ip.md.
 */
export class VirtualIp {
  private reach: Reach = 'closed';
  private highestEpoch = 0;
  private readonly held = new Map<string, Held>();
  private readonly troubles = new Map<string, string>();
  /** Addresses of which it was told that they cannot be announced. */
  private readonly unannounceable = new Set<string>();
  private readonly claimableAtMs = new Map<string, number>();
  /** How long the last addresses took to be put: a lifetime may begin that late. */
  private putMs = 0;
  private probing = new AbortController();
  private readonly turns = new Turns();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    /** Null: this server's configuration names no interface; nothing is ever held. */
    private readonly holder: AddressHolder | null,
    private readonly surroundings: VirtualIpSurroundings,
  ) {}

  /** Begins to keep watch. `reach`: what an earlier manager of this run has left. */
  start(reach: Reach): void {
    if (this.holder === null) return;
    if (this.reach === 'closed') this.reach = reach;
    const look = () => {
      if (this.turns.isIdle) void this.settle().catch(() => undefined);
    };
    this.timer = setInterval(look, TICK_MS);
    look();
  }

  /** The manager goes. An address that is held stays for its lifetime: the next manager renews it, or the kernel drops it. */
  stop(): void {
    clearInterval(this.timer);
    this.probing.abort();
    for (const address of [...this.held.keys()]) this.letGo(address);
  }

  /**
   * This server is being opened: the address is claimed meanwhile, so that no client waits for it when the database is open. One that comes
   * before that is refused, and learns sooner that it is to try again than by waiting.
   */
  claimAhead(epoch: number): void {
    void this.claim(epoch).catch(() => undefined);
  }

  /** Clients may come. Resolves when the address is here or cannot be for now. Rejects with `EffectError` `stale-epoch` only. */
  async claim(epoch: number): Promise<void> {
    if (epoch < this.highestEpoch)
      throw new EffectError('stale-epoch', `epoch ${epoch} is lower than ${this.highestEpoch}: no virtual IP`);
    this.highestEpoch = epoch;
    this.reach = 'open';
    // one that is under way since the claim ahead is called off together with this one
    if (this.probing.signal.aborted) this.probing = new AbortController();
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
  }

  /** Brings the interface to what is wanted now, after what is under way. Rejects when an address cannot be removed. */
  private settle(): Promise<void> {
    const { holder } = this;
    if (holder === null) return Promise.resolve();
    return this.turns.take(async () => {
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
    // an opening that has failed may leave nothing to be closed
    if (this.surroundings.mayServeUntilMs() === 0) return this.giveBack(holder, address);
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
    const gainedMs = nowMs + this.remainingSeconds() * 1000 - (held?.untilMs ?? 0);
    const isShort = held !== undefined && held.untilMs - nowMs < SHORT_MS;
    if (gainedMs >= lifetimeSeconds * 250 || (isShort && gainedMs > 0)) {
      const untilMs = await this.put(holder, address);
      if (untilMs === null) return;
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
    const announcer = this.announcerOf(holder, address);
    try {
      const other = await holder.neighbourWith(address, signal);
      if (signal.aborted || this.remainingSeconds() < 1) return;
      if (other !== null) {
        const message = `${address} is in use by ${other} on ${holder.name}: it is not claimed, and clients do not reach this server by it`;
        this.note(address, 'critical', 'virtual-ip-conflict', message);
        return;
      }
      const untilMs = await this.put(holder, address);
      if (untilMs === null) return;
      this.held.set(address, { untilMs, announcedAtMs: clock.nowMs(), announcer });
    } finally {
      if (!this.held.has(address)) announcer.close();
    }
    announcer.announce();
    this.claimableAtMs.delete(address);
    this.troubles.delete(address);
    tell('info', 'virtual-ip-claimed', `${address} is held on ${holder.name}`);
    for (const atMs of ANNOUNCE_AGAIN_MS) setTimeout(() => this.held.get(address)?.announcer.announce(), atMs).unref();
  }

  /**
   * Puts an address for as long as this server may serve. A lifetime counts from when the kernel hears of it: one that was put so late on
   * a busy machine that it would outlast the right is put again, or removed. Returns when the kernel drops it at the earliest; null: it
   * is not here.
   */
  private async put(holder: AddressHolder, address: string): Promise<number | null> {
    const { clock, mayServeUntilMs } = this.surroundings;
    for (let seconds = this.remainingSeconds(); seconds >= 1; seconds = this.remainingSeconds()) {
      const askedAtMs = clock.nowMs();
      await holder.put(address, seconds);
      const heardAtMs = clock.nowMs();
      this.putMs = Math.max(heardAtMs - askedAtMs, this.putMs * 0.9);
      if (heardAtMs + seconds * 1000 + KERNEL_LATE_MS <= mayServeUntilMs()) return askedAtMs + seconds * 1000;
    }
    await this.giveBack(holder, address);
    return null;
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
    const leftMs = mayServeUntilMs() - clock.nowMs() - this.putMs - KERNEL_LATE_MS;
    return Math.min(lifetimeSeconds, Math.floor(leftMs / 1000));
  }

  /** Keeps what is wrong with an address for the status, and tells it once. */
  private note(address: string, severity: 'warning' | 'critical', code: string, message: string): void {
    if (this.troubles.get(address) === message) return;
    this.troubles.set(address, message);
    this.surroundings.tell(severity, code, message);
  }
}
