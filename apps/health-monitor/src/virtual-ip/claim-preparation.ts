import type { Clock } from '@understudy/platform';
import type { AddressAnnouncer, AddressHolder } from '../ports/address-holder.port.ts';

/** So long the answer counts that nobody has the address. */
const VALID_MS = 5000;

interface Prepared {
  readonly isFree: Promise<boolean>;
  readonly announcer: AddressAnnouncer;
  readonly atMs: number;
}

/** What a claim needs to know and to have, found out while the database is being opened. */
export class ClaimPreparation {
  private readonly prepared = new Map<string, Prepared>();
  private probing = new AbortController();

  constructor(private readonly clock: Clock) {}

  /** Begins to find out who has the addresses. The announcers are those of the claims, or closed by `forget`. */
  begin(holder: AddressHolder, addresses: readonly string[], announcerOf: (address: string) => AddressAnnouncer): void {
    this.forget();
    this.probing = new AbortController();
    const { signal } = this.probing;
    for (const address of addresses) {
      const isFree = holder.neighbourWith(address, signal).then(
        (other) => other === null && !signal.aborted,
        () => false,
      );
      this.prepared.set(address, { isFree, announcer: announcerOf(address), atMs: this.clock.nowMs() });
    }
  }

  /** Hands over what was prepared for an address; null: nothing. `isFree` false: not known to be free, or not lately. */
  take(address: string): Pick<Prepared, 'isFree' | 'announcer'> | null {
    const prepared = this.prepared.get(address);
    if (prepared === undefined) return null;
    this.prepared.delete(address);
    const isFresh = this.clock.nowMs() - prepared.atMs < VALID_MS;
    return isFresh ? prepared : { ...prepared, isFree: Promise.resolve(false) };
  }

  forget(): void {
    this.probing.abort();
    for (const { announcer } of this.prepared.values()) announcer.close();
    this.prepared.clear();
  }
}
