/** A server cannot be started: each line says what, where and how to mend it. Exit code 2. */
export class NotStartable extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'NotStartable';
  }
}
