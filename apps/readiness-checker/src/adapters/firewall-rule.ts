/** Runs a program of the packet filter; rejects with what it says. */
export type Run = (program: string, parameters: readonly string[]) => Promise<string>;

/** A program of the packet filter that is not installed. */
export class NotInstalled extends Error {}

/** One address that is to be let in to one port. */
export interface Wanted {
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
}

/** A rule that lets the other server in. */
export interface Rule {
  readonly isPresent: boolean;
  /** Adds it; tells what was added, and what takes it away. */
  add(): Promise<{ readonly rule: string; readonly undo: string }>;
}

/** How our rules are known again. */
export const commentOf = ({ address, port }: Wanted) => `understudy: ${address} to port ${port}`;
