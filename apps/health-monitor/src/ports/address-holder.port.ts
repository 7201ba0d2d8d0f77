import type { NetworkInterfaceInfo } from 'node:os';

/** The network interface that carries the virtual IP. */
export interface AddressHolder {
  readonly name: string;
  /** What it carries; empty when it is missing, down, or has no carrier. */
  readonly present: readonly NetworkInterfaceInfo[];
  has(address: string): boolean;
  /** Adds the address, or renews it: the kernel removes it by itself after that time. Rejects with the kernel's reason. */
  put(address: string, seconds: number): Promise<void>;
  /** Ends the connections to the address and removes it. Rejects with the kernel's reason, also when it was not there. */
  remove(address: string): Promise<void>;
  /** Hardware address of the neighbour that has the address; null: nobody answers. Takes about 0.1 s, less when aborted. */
  neighbourWith(address: string, signal: AbortSignal): Promise<string | null>;
  /** What tells all neighbours that the address is here now, made ready beforehand. `onFailure`: it cannot, for that reason. */
  announcerOf(address: string, onFailure: (reason: string) => void): AddressAnnouncer;
}

/** Tells all neighbours that an address is here now. */
export interface AddressAnnouncer {
  announce(): void;
  close(): void;
}
