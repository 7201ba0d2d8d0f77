import { isIP } from 'node:net';

/** Whether an address is this machine's own loopback: then both servers of a pair run on one machine, each at an address of its own. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** Where what is meant for this server only listens: 127.0.0.1, or the server's own address when that is a loopback address. */
export function localBindAddress(nodeAddress: string): string {
  return isLoopback(nodeAddress) ? nodeAddress : '127.0.0.1';
}

/** An address as it is written in front of `:port`: IPv6 goes in brackets. */
export function hostForUrl(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}
