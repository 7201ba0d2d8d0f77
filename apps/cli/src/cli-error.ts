/** How the command line ends. */
export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

/** A reason to end: one clear text for stderr, and the exit code. */
export class CliError extends Error {
  constructor(
    readonly exitCode: number,
    message: string,
  ) {
    super(message);
    this.name = 'CliError';
  }
}
